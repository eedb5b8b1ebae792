"use strict";
// The view of one model: puts everything in its place, for the report and for the
// page, where the model grows.
(function (kax) {
  const h = (...args) => kax.element(...args);
  const by = (id) => document.getElementById(id);

  kax.View = class {
    constructor(model, table) {
      this.model = model;
      this.details = new kax.Details(by("details"), model, table);
      this.timeline = new kax.Timeline(
        { box: by("timeline"), scroll: by("scroll"), canvas: by("canvas"), spacer: by("spacer") }, model, {
          hover: (i) => {
            this.details.show(i >= 0 ? i : this.timeline.selected);
            kax.tip(by("tip"), this.timeline, i);
          },
          select: (i, open) => this.selected(i, open),
          fold: () => this.fold(),
        });
      const { timeline } = this;
      by("fold").addEventListener("click", () => this.fold());
      by("zoom-in").addEventListener("click", () => timeline.zoom(1.6, timeline.middle()));
      by("zoom-out").addEventListener("click", () => timeline.zoom(1 / 1.6, timeline.middle()));
      by("fit").addEventListener("click", () => timeline.fit());
      by("details").addEventListener("keydown", (ev) => {
        if (ev.key === "Escape") by("timeline").focus();
      });
      this.show = (i) => {
        timeline.select(i, false);
        by("timeline").focus({ preventScroll: true });
        by("timeline").scrollIntoView({ block: "nearest" });
      };
      this.events = new kax.Events(by("events"), by("pages"), model, this.show);
      this.fill();

      // A verdict's link is an address, so that it can be passed on.
      addEventListener("hashchange", () => this.follow());
      by("verdicts").addEventListener("click", (ev) => { // also when the address is the same
        if (ev.target.hash === location.hash) this.follow();
      });
      themes(() => {
        timeline.restyle();
        legend(this.model);
        this.details.again(timeline.selected, true);
        this.restyled();
      });
      printing(timeline, this.events);
    }

    // restyled is for who draws more than this.
    restyled() {}

    // fill shows what does not lie on the timeline.
    fill() {
      const { model } = this;
      head(model);
      settings(model);
      verdicts(model);
      legend(model);
      this.kinds = model.kinds.join();
      kax.connections(by("conns"), model, this.show);
    }

    // update shows a model that has grown, or another one, and tables once a second
    // until it is whole. What somebody has the focus in is left as it is.
    update(model, table, other, whole) {
      const before = this.model;
      this.model = model;
      this.details.update(model, table);
      this.timeline.update(model, other);
      this.details.again(this.timeline.selected);
      const free = (id) => other || !by(id).contains(document.activeElement) || document.activeElement === by(id);
      const now = performance.now(), due = other || whole || now > (this.due || 0);
      if (due) this.due = now + 1000;
      if (due && free("events")) this.events.update(model, other);
      if (other || model.summary !== before.summary) return this.fill();
      if (model.header !== before.header) {
        head(model);
        settings(model);
      }
      if (model.kinds.join() !== this.kinds) legend(model);
      this.kinds = model.kinds.join();
      if (due && free("conns")) kax.connections(by("conns"), model, this.show);
    }

    selected(i, open) {
      this.details.show(i);
      kax.tip(by("tip"), this.timeline, -1);
      kax.say(this.model, i);
      if (open) {
        by("details").focus();
        by("details").scrollIntoView({ block: "nearest" });
      }
    }

    fold() {
      this.timeline.fold(!this.timeline.folded);
      by("fold").setAttribute("aria-pressed", this.timeline.folded);
    }

    // follow shows what proves the verdict that the address names.
    follow() {
      const n = /^#proof-(\d+)$/.exec(location.hash), { model, timeline } = this;
      const proof = n && model.summary && (model.summary.proofs || [])[n[1] - 1];
      if (!proof) return;
      timeline.measure();
      timeline.prove(model.proof(proof));
      by("timeline").scrollIntoView({ block: "center" });
      by("timeline").focus({ preventScroll: true });
    }
  };

  // say tells an event to who listens.
  kax.say = function (model, i) {
    if (i < 0) return;
    const e = model.events[i];
    by("said").textContent = `#${e.conn} ${e.lane.toUpperCase()}: ${kax.title(e)}, at ${kax.moment(e.at)}`;
  };

  // tip says in a box what the mouse points at.
  kax.tip = function (box, timeline, i) {
    box.hidden = i < 0;
    if (i < 0) return;
    const e = timeline.model.events[i], p = timeline.place(i);
    box.replaceChildren(h("strong", {}, kax.title(e)), h("span", {}, `#${e.conn}, ${kax.from(e)}, ${kax.moment(e.at)}`));
    box.style.left = Math.max(4, Math.min(p.x + 12, timeline.width - box.offsetWidth - 4)) + "px";
    box.style.top = (p.y + 16 + box.offsetHeight > timeline.height ? p.y - 16 - box.offsetHeight : p.y + 16) + "px";
  };

  function head(model) {
    const header = model.header || { command: "", settings: {}, version: "" }, s = model.summary;
    const title = header.command ? "kax " + header.command : "No records"; // of a file that is none
    document.title = title + (header.settings && header.settings.file ? ": " + header.settings.file : "");
    by("title").textContent = title;
    const parts = [source(header)];
    if (header.started) parts.push("begun " + header.started.replace("T", " ").replace(/(\.\d{3})\d*/, "$1"));
    if (s) {
      parts.push([kax.count(s.connections, "connection"), `${kax.count(s.requests, "request")} (${s.reused} reused)`,
        `${kax.count((s.events || {}).probe || 0, "probe")}, ${s.answered} answered`, s.packets ? kax.count(s.packets, "packet") : ""].filter(Boolean).join(", "));
      if (s.dropped) parts.push(kax.count(s.dropped, "packet") + " not captured for want of room");
      if (s.kernel_probes !== undefined) parts.push(`the kernel counted ${kax.count(s.kernel_probes, "probe")}`);
    }
    by("source").replaceChildren(...parts.filter(Boolean).flatMap((text, i) => (i ? [" · ", text] : [text])));
    by("footer").textContent = `${header.version ? `Written by kax ${header.version}. ` : ""}TCP keepalive asks whether the peer is still there; HTTP keep-alive, whether this connection may carry another request.`;
  }

  function source(header) {
    const s = header.settings || {};
    switch (header.source) {
      case "file": return "from " + s.file;
      case "af_packet": return "live packets" + (s.interface ? " on " + s.interface : s.netns ? " of a network namespace of its own" : "");
      case "userns": return "live packets of a user and network namespace of its own";
      case "pipe": return "packets of another program";
      case "counters": return "no packets: inferred from the kernel's counters, so handshakes and ACKs are not to be seen";
      default: return header.source || "";
    }
  }

  function settings(model) {
    const s = (model.header || {}).settings || {}, out = [];
    function time(v) { return v ? kax.clock(v) : "–"; }
    if (s.question) out.push(h("p", {}, s.question));
    if (s.topology) out.push(h("pre", { class: "drawing" }, s.topology));
    const of = (k) => [["client", k.client_tcp], ["server", k.server_tcp]];
    const runs = (s.runs || []).flatMap((run) => of(run).map(([end, k]) => [(run.name + " " + end).trim(), k]));
    const ends = [...of(s), ...runs].filter(([, k]) => k);
    if (ends.length) {
      const options = [["keepalive", (v) => (v ? "on" : "off")], ["keepidle", time], ["keepintvl", time], ["keepcnt", (v) => v || "–"]];
      if (ends.some(([, k]) => k.asked.user_timeout || k.effective.user_timeout)) options.push(["user_timeout", time]);
      const row = (name, o) => [name, ...options.map(([key, form]) => (key !== "keepalive" && !o.keepalive ? "–" : String(form(o[key]))))];
      out.push(kax.table("TCP keepalive, asked and as the kernel reads it back", ["TCP", ...options.map(([key]) => key)],
        ends.flatMap(([end, k]) => [row(end + " asked", k.asked), row("in force", k.effective)])));
    }
    const facts = [];
    const add = (name, value) => { if (value) facts.push([name, value]); };
    add("server", s.server);
    add("file", s.file);
    add("interface", s.interface);
    if (s.pause) {
      add("idle timeout of the server", s.idle_timeout && kax.clock(s.idle_timeout));
      add("client pauses", s.pause.map(kax.clock).join(", ") || "0s");
      add("client reuses connections", s.reuse ? "yes" : "no");
      add("/close ends with", s.close_with && s.close_with.toUpperCase());
      add("requests", s.requests && s.requests + (s.concurrency > 1 ? `, ${s.concurrency} at a time` : ""));
    }
    for (const run of s.runs || []) add(run.name, run.text);
    for (const p of model.plans.slice(0, 1)) {
      if (p.first) add("planned: first probe after", range(p.first));
      if (p.every) add("planned: from probe to probe", range(p.every));
      if (p.death) add("planned: peer given up after", range(p.death));
    }
    function range(w) { return w.earliest === w.latest ? kax.clock(w.earliest) : kax.clock(w.earliest) + " to " + kax.clock(w.latest); }
    if (facts.length) out.push(h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])));
    if (!out.length) out.push(h("p", { class: "hint" }, "None are known: the packets are those of others."));
    by("settings").replaceChildren(...out.map((el) => (el.tagName === "TABLE" ? h("div", { class: "wide" }, el) : el)));
  }

  function verdicts(model) {
    const s = model.summary || {}, proofs = s.proofs || [];
    const contradicted = new Set(((model.lab || {}).checks || []).filter((c) => !c.held).map((c) => c.text));
    by("verdicts").replaceChildren(...(s.verdicts || []).map((text, i) => {
      const n = proofs[i] ? model.proof(proofs[i]).length : 0;
      return h("li", {}, contradicted.has(text) ? h("strong", { class: "alarm" }, "✕ not as it should be: ") : "", text, n ? " " : "", n ? h("a", { href: "#proof-" + (i + 1), class: "proof", "aria-label": `Show what proves this: ${kax.count(n, "event")}` }, "show" ) : "");
    }));
    if (!(s.verdicts || []).length) by("verdicts").append(h("li", { class: "none" }, "Nothing to say of it."));
  }

  // legend has the kinds that occur.
  function legend(model) {
    const seen = new Set(model.events.map((e) => (e.kind === "request" && e.reused ? "reused" : e.kind === "response" && e.status >= 400 ? "failed" : e.kind)));
    const lists = [];
    for (const [lane, kinds] of kax.legend) {
      const of = kinds.filter((k) => seen.has(k.reused ? "reused" : k.status ? "failed" : k.kind));
      if (!of.length) continue;
      const items = [h("li", { class: "lane " + lane }, lane.toUpperCase())];
      for (const k of of) items.push(h("li", {}, kax.glyph({ side: k.kind === "response" || k.kind.includes("answer") || k.kind === "syn-ack" ? "server" : "client", lane, ...k }, 20), k.name || kax.names[k.kind]));
      if (lane === "http") {
        if (seen.has("reused")) items.push(h("li", {}, h("span", { class: "kept" }), "kept, and reused"));
        items.push(h("li", {}, h("span", { class: "idle" }), "idle, and not used again"));
      }
      lists.push(h("ul", { "aria-label": lane.toUpperCase() }, items));
    }
    by("legend").replaceChildren(...lists, h("p", {}, "Above a lane's line: sent by the client; below: by the server. Where marks would lie on one another, bars say how many there are: zoom in."));
  }

  // themes turns the theme from the system's to light to dark.
  function themes(changed) {
    const names = ["system", "light", "dark"];
    let now = 0;
    by("theme").addEventListener("click", () => {
      now = (now + 1) % names.length;
      if (now) document.documentElement.dataset.theme = names[now];
      else delete document.documentElement.dataset.theme;
      by("theme").textContent = "Theme: " + names[now];
      changed();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  }

  // printing shows all connections, on white, and as many rows of the table as
  // somebody may want on paper.
  function printing(timeline, events) {
    const most = 1000;
    let before = null;
    addEventListener("beforeprint", () => {
      document.documentElement.classList.add("printing");
      before = { page: events.page, restore: timeline.print() };
      events.fill(0, Math.min(most, events.order.length));
    });
    addEventListener("afterprint", () => {
      document.documentElement.classList.remove("printing");
      before.restore();
      events.turn(before.page);
    });
  }
})((window.kax = window.kax || {}));
