"use strict";
// The page: choose, run, look, compare.
(function (kax) {
  document.addEventListener("DOMContentLoaded", () => new kax.UI().begin());

  const h = (...args) => kax.element(...args);
  const by = (id) => document.getElementById(id);

  // ask gets an answer of the server, or throws why there is none.
  async function ask(path, method = "GET", body) {
    let answer;
    try {
      answer = await fetch(path, { method, body });
    } catch {
      throw new Error("kax ui no longer answers: it has been stopped.");
    }
    if (!answer.ok) throw new Error((await answer.text()).trim().replace(/^kax: /, ""));
    return answer.json();
  }

  // same reports that two asks are for the same.
  const flat = (a) => JSON.stringify([a.experiment, Object.entries(a.settings || {}).sort()]);
  const same = (a, b) => flat(a) === flat(b);

  kax.UI = class {
    async begin() {
      kax.ui = this;
      this.runs = [];
      this.form = new kax.Form(by("fields"), () => this.changed());
      this.prediction = new kax.Prediction(by("prediction"));
      this.tabs = new BroadcastChannel("kax-" + location.port); // other tabs, which may start something too
      this.tabs.onmessage = () => this.list();
      try {
        this.menu = await ask("menu");
      } catch (err) {
        return this.notice(err.message);
      }
      by("footer").textContent = `kax ${this.menu.version}, on this machine only.`;
      this.choices();
      this.listen();
      this.choose(this.menu.experiments[0].name);
      await this.list();
      const last = this.runs[this.runs.length - 1];
      if (last) this.show(last.id);
      document.body.dataset.ready = "1";
    }

    // notice says what has gone wrong; nothing takes it away.
    notice(text = "") {
      by("notice").textContent = text;
      by("notice").hidden = !text;
    }

    // doing runs what the server may refuse.
    async doing(f) {
      this.notice();
      try {
        await f();
      } catch (err) {
        this.notice(err.message);
      }
    }

    choices() {
      const groups = new Map();
      for (const e of this.menu.experiments) {
        if (!groups.has(e.group)) groups.set(e.group, []);
        groups.get(e.group).push(h("option", { value: e.name }, e.title));
      }
      by("experiment").replaceChildren(...[...groups].map(([label, options]) => h("optgroup", { label }, options)));
    }

    listen() {
      by("experiment").addEventListener("change", () => this.choose(by("experiment").value));
      by("form").addEventListener("submit", (ev) => {
        ev.preventDefault();
        this.start();
      });
      by("stop").addEventListener("click", () => this.doing(async () => {
        if (this.shown) await ask("runs/" + this.shown.id + "/stop", "POST");
      }));
      by("file").addEventListener("change", () => {
        if (by("file").files[0]) this.upload(by("file").files[0]);
        by("file").value = "";
      });
      by("compare-close").addEventListener("click", () => this.compare(null));
      const over = (on) => by("drop").classList.toggle("over", on);
      addEventListener("dragover", (ev) => {
        ev.preventDefault();
        over(true);
      });
      addEventListener("dragleave", (ev) => { if (!ev.relatedTarget) over(false); });
      addEventListener("drop", (ev) => {
        ev.preventDefault();
        over(false);
        if (ev.dataTransfer.files[0]) this.upload(ev.dataTransfer.files[0]);
      });
      document.addEventListener("visibilitychange", () => { if (!document.hidden) this.list(); });
    }

    choose(name, settings) {
      const e = this.menu.experiments.find((e) => e.name === name);
      if (!e) return;
      by("experiment").value = name;
      by("question").textContent = e.unable ? "Not possible here: " + e.unable : e.question;
      this.form.show(e, settings);
      this.changed();
    }

    // changed asks what the settings lead to. Of several answers the last one counts.
    async changed() {
      const nth = (this.nth = (this.nth || 0) + 1), unable = this.form.experiment.unable;
      by("start").disabled = Boolean(unable);
      let foretold = null, refused = "";
      try {
        foretold = unable ? null : await ask("predict", "POST", JSON.stringify(this.form.ask()));
        refused = (foretold && foretold.refused) || "";
      } catch (err) {
        refused = err.message;
      }
      if (nth !== this.nth) return;
      this.foretold = refused ? null : foretold;
      by("foretold").textContent = refused || (foretold ? kax.foretold(foretold) : "");
      by("foretold").classList.toggle("alarm", Boolean(refused));
      by("start").disabled = Boolean(unable || refused);
      this.draw();
    }

    // draw lays what has happened over the prediction, where it is of the same settings.
    draw() {
      const over = this.shown && same(this.shown.ask, this.form.ask());
      by("plan-title").textContent = over ? "What was predicted, and what happened" : "What will happen";
      this.prediction.show(this.foretold, over && this.feed ? kax.measured(this.feed.model) : null);
    }

    start() {
      return this.doing(async () => {
        const run = await ask("runs", "POST", JSON.stringify(this.form.ask()));
        await this.begun(run);
      });
    }

    upload(file) {
      return this.doing(async () => {
        if (file.size > this.menu.upload) throw new Error(`${file.name} is larger than ${this.menu.upload >> 20} MiB; kax ui FILE takes any size.`);
        await this.begun(await ask("captures?name=" + encodeURIComponent(file.name), "POST", file));
      });
    }

    async begun(run) {
      await this.list();
      this.tabs.postMessage("runs");
      this.show(run.id);
    }

    async list() {
      try {
        this.runs = await ask("runs");
      } catch (err) {
        by("stop").disabled = true;
        by("state").textContent = "";
        return this.notice(err.message);
      }
      this.listed();
    }

    listed() {
      const focused = document.activeElement && document.activeElement.dataset.key;
      by("runs").replaceChildren(...this.runs.slice().reverse().map((r) => this.item(r)));
      if (focused) {
        const again = by("runs").querySelector(`[data-key="${focused}"]`);
        if (again) again.focus();
      }
      if (!this.runs.length) by("runs").append(h("li", { class: "hint" }, "None yet: start one. The last 8 are kept."));
    }

    item(r) {
      const now = this.shown && this.shown.id === r.id, beside = this.other && this.other.id === r.id;
      const link = (file, text) => h("a", { href: `runs/${r.id}/${file}`, download: "", "data-key": file + r.id }, text);
      return h("li", { class: now ? "now" : "" },
        h("button", { type: "button", class: "link", "data-key": "show" + r.id, "aria-current": now ? "true" : undefined, onclick: () => this.show(r.id) }, `${r.id}. ${this.called(r)}`),
        h("span", { class: "how" }, how(r)),
        h("span", { class: "files" },
          r.packets ? link("packets.pcapng", "pcapng") : "",
          r.done && r.records ? [link("records.jsonl", "records"), link("report.html", "report")] : "",
          this.shown && !now ? h("button", { type: "button", class: "small", "data-key": "beside" + r.id, "aria-pressed": String(Boolean(beside)), onclick: () => this.compare(beside ? null : r.id) }, "compare") : ""));
    }

    // called is a run's name, with what it was set to where that is not usual.
    called(r) {
      const e = this.menu.experiments.find((e) => e.name === r.ask.experiment);
      const unusual = e ? e.settings.filter((s) => (r.ask.settings[s.name] ?? s.value) !== s.value) : [];
      return [r.name, ...unusual.map((s) => `${s.label} ${{ true: "on", false: "off", "": "none" }[r.ask.settings[s.name]] || r.ask.settings[s.name]}`)].join(", ");
    }

    // show shows a run, from its beginning.
    show(id) {
      const run = this.runs.find((r) => r.id === id);
      if (!run) return;
      if (this.other && this.other.id === id) this.compare(null);
      if (this.feed) this.feed.close();
      this.shown = run;
      if (run.ask.experiment && !same(run.ask, this.form.ask())) this.choose(run.ask.experiment, run.ask.settings);
      by("run").hidden = false;
      let other = true;
      this.feed = new kax.Feed(id, {
        change: (model, fields, whole) => {
          if (!this.view) {
            this.view = kax.page = new kax.View(model, fields);
            this.view.restyled = () => { if (this.beside) this.beside.restyle(); };
          } else this.view.update(model, fields, other, whole);
          other = false;
          this.draw();
          this.saying();
        },
        end: (state) => {
          const i = this.runs.findIndex((r) => r.id === state.id);
          if (i >= 0) this.runs[i] = state;
          this.shown = state;
          this.listed();
          this.saying();
          this.tabs.postMessage("runs");
          if (state.said && state.code) this.notice(state.said.replace(/^kax: /gm, ""));
        },
        lost: () => this.list(), // which says why
      });
      this.feed.on.change(this.feed.model, this.feed.fields); // nothing yet
      other = true;
      this.listed();
    }

    saying() {
      const r = this.shown, going = r && !r.done;
      by("stop").disabled = !going;
      by("state").textContent = !r ? "" : going ? "running" : how(r);
    }

    // compare shows a second run below the first.
    compare(id) {
      if (this.otherFeed) this.otherFeed.close();
      this.other = this.runs.find((r) => r.id === id) || null;
      by("compare").hidden = !this.other;
      this.listed();
      if (!this.other) return;
      by("compare-title").textContent = `${this.other.id}. ${this.called(this.other)}`;
      let other = true;
      const change = (model) => {
        if (!this.beside) {
          this.beside = new kax.Timeline(
            { box: by("compare-timeline"), scroll: by("compare-scroll"), canvas: by("compare-canvas"), spacer: by("compare-spacer") }, model, {
              hover: (i) => kax.tip(by("compare-tip"), this.beside, i),
              select: (i) => {
                kax.tip(by("compare-tip"), this.beside, i);
                kax.say(this.beside.model, i);
              },
              fold: () => this.beside.fold(!this.beside.folded),
            });
        } else this.beside.update(model, other);
        other = false;
        by("compare-verdicts").replaceChildren(...((model.summary || {}).verdicts || []).map((text) => h("li", {}, text)));
      };
      this.otherFeed = new kax.Feed(id, { change, end() {}, lost() {} });
    }
  };

  // how says what has become of a run.
  function how(r) {
    if (!r.done) return "running";
    if (r.full) return "more than the page keeps";
    if (r.stopped) return "stopped";
    switch (r.code) {
      case 0: return "done";
      case 3: return "contradicted";
      case 4: return "not possible here";
      default: return "failed";
    }
  }
})((window.kax = window.kax || {}));
