"use strict";
// What the settings lead to, and over it what has happened.
(function (kax) {
  const h = (...args) => kax.element(...args);
  const MOST = 300; // marks of a kind

  function svg(name, props, ...children) {
    const el = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(props)) if (value !== undefined) el.setAttribute(key, value);
    el.append(...children.filter((c) => c !== null));
    return el;
  }

  const range = (w) => (w.earliest === w.latest ? kax.clock(w.earliest) : kax.clock(w.earliest) + " to " + kax.clock(w.latest));

  // foretold is the same in words.
  kax.foretold = function (p) {
    const { plan } = p, out = [];
    if (!plan) return "";
    if (!plan.first) out.push("TCP keepalive is off: no probe is sent, and a peer that is gone goes unnoticed while nobody sends.");
    else {
      out.push(`The first probe comes after ${range(plan.first)} without a word from the peer, then one every ${range(plan.every)} while it answers.`);
      out.push(`A peer that is gone is given up after ${range(plan.death)}.`);
    }
    if (p.idle_timeout) out.push(`The server closes after ${kax.clock(p.idle_timeout)} without a request, whatever the probes say.`);
    return out.join(" ");
  };

  // measured finds in a run what was predicted: seconds since the peer was last heard,
  // or since the last response.
  kax.measured = function (model) {
    const out = { probes: [], lost: [], deaths: [], asks: [], closes: [] };
    const put = (list, at) => { if (list.length < MOST) list.push(at); };
    for (const row of model.rows) {
      const heard = {}, waits = {}; // by side: when it last heard its peer, and its last probe
      for (const i of row.events) {
        const e = model.events[i], peer = e.side === "client" ? "server" : "client";
        if (e.lane === "http") {
          if (e.kind === "idle-close") put(out.closes, e.idle || 0);
          else if (e.kind === "request" && e.reused) put(out.asks, e.idle || 0);
          continue;
        }
        if (e.kind === "probe") {
          if (waits[e.side] !== undefined) put(out.lost, waits[e.side]);
          waits[e.side] = heard[e.side] === undefined ? undefined : e.at - heard[e.side];
          continue;
        }
        if (e.kind === "timeout" || (e.kind === "rst" && waits[e.side] !== undefined)) {
          if (heard[e.side] !== undefined) put(out.deaths, e.at - heard[e.side]);
        }
        if (e.kind === "probe-answer") {
          if (waits[peer] !== undefined) put(out.probes, waits[peer]);
          waits[peer] = undefined;
          continue; // the plan goes on from what was heard before the probes
        }
        if (waits[peer] === undefined || e.kind !== "rst") {
          heard[peer] = e.at;
          if (waits[peer] !== undefined) put(out.lost, waits[peer]);
          waits[peer] = undefined;
        }
      }
      for (const at of Object.values(waits)) if (at !== undefined) put(out.lost, at);
    }
    return out;
  };

  kax.Prediction = class {
    constructor(box) {
      this.box = box;
      this.prediction = this.real = null;
      new ResizeObserver(() => { if (box.clientWidth !== this.width) this.draw(); }).observe(box);
    }

    show(prediction, real) {
      this.prediction = prediction;
      this.real = real;
      this.draw();
    }

    draw() {
      const p = this.prediction, plan = p && p.plan;
      this.width = this.box.clientWidth;
      if (!plan || this.width < 100) return this.box.replaceChildren();
      const real = this.real || { probes: [], lost: [], deaths: [], asks: [], closes: [] };
      const answered = [], end = this.end(p);
      if (plan.first) {
        for (let n = 0; answered.length < MOST; n++) {
          const w = { earliest: plan.first.earliest + n * plan.every.earliest, latest: plan.first.latest + n * plan.every.latest };
          if (w.earliest > end) break;
          answered.push(w);
        }
      }
      const lanes = [];
      lanes.push(this.lane("tcp", "TCP", "the peer answers", end, answered, real.probes, plan.first && !answered.length ? "no probe before " + kax.clock(plan.first.earliest) : plan.first ? "" : "no probes", "probe"));
      const says = [];
      p.pauses.slice(0, MOST).forEach((at) => { if (!p.idle_timeout || at < p.idle_timeout) says.push({ earliest: at, latest: at, what: "asks again" }); });
      if (p.idle_timeout) says.push({ earliest: p.idle_timeout, latest: p.idle_timeout, what: "server closes", last: true });
      if (says.length || real.asks.length || real.closes.length) lanes.push(this.lane("http", "HTTP", "after a response", end, says, [...real.asks, ...real.closes], "", "ask"));
      if (plan.first) {
        const gone = plan.unanswered || [], death = { ...plan.death, what: "given up", last: true };
        const after = Math.max(plan.death.latest, ...real.lost, ...real.deaths) * 1.12;
        lanes.push(this.lane("tcp", "TCP", "the peer is gone", after, [...gone, death], [...real.lost, ...real.deaths], "", "lost"));
      }
      this.box.replaceChildren(...lanes,
        h("p", { class: "key" },
          h("span", {}, h("i", { class: "foretold" }), "predicted"),
          this.real ? h("span", {}, h("i", { class: "happened" }), "happened in this run") : ""));
    }

    // end is how far there is something to say while the peer answers.
    end(p) {
      const real = this.real || { probes: [], asks: [], closes: [] };
      const last = p.idle_timeout || Math.max(0, ...p.pauses) || (p.plan.first ? p.plan.first.latest + 2.2 * p.plan.every.latest : 1);
      return Math.max(last, ...real.probes, ...real.asks, ...real.closes) * 1.12;
    }

    // lane draws windows, and moments that were measured, on an axis of its own.
    lane(kind, name, when, end, windows, moments, none, what) {
      const width = this.width, narrow = width < 420; // then the name stands above
      const left = narrow ? 4 : 132, base = narrow ? 56 : 40, high = base + 22, plot = width - left - 12;
      const x = (at) => left + (at / end) * plot, f = (v) => v.toFixed(1);
      const out = [svg("line", { class: "base", x1: left, x2: width - 8, y1: base, y2: base })];
      out.push(svg("text", { class: "name", x: 0, y: narrow ? 13 : 24 }, name), svg("text", { class: "when", x: narrow ? 40 : 0, y: narrow ? 13 : 41 }, when));
      for (const at of kax.roundTimes(0, end, plot / 80).times) {
        out.push(svg("line", { class: "tick", x1: f(x(at)), x2: f(x(at)), y1: base, y2: base + 4 }));
        out.push(svg("text", { class: "at", x: f(x(at)), y: base + 16, "text-anchor": at ? "middle" : "start" }, at ? kax.clock(Number(at.toPrecision(12))) : "0"));
      }
      let free = -1e9;
      const ends = windows.filter((w) => w.last).map((w) => x(w.earliest) - 6 - w.what.length * 6);
      windows.forEach((w, i) => {
        const x0 = x(w.earliest), wide = Math.max(x(w.latest) - x0, 3);
        out.push(svg("rect", { class: w.last ? "foretold last" : "foretold", "data-at": w.earliest, x: f(x0 - 1.5), y: base - 15, width: f(wide), height: 15 }));
        const text = w.what || (what === "probe" || what === "lost" ? String(i + 1) : ""), room = text.length * 6.2;
        const begins = w.last ? Math.min(x0 - room - 5, plot + left - room) : w.what ? Math.max(left, x0 - room) : x0 - 2;
        if (begins > free && (w.last || !ends.some((e) => begins + room > e))) {
          out.push(svg("text", { class: "what", x: f(begins), y: base - 19 }, text));
          free = begins + room + 4;
        }
      });
      for (const at of moments) {
        if (at <= end) out.push(svg("circle", { class: "happened", "data-at": at, cx: f(x(at)), cy: base - 7.5, r: 3.4 }));
      }
      if (none) out.push(svg("text", { class: "none", x: left + 8, y: base - 10 }, none));
      const label = `${name}, ${when}: ${windows.length} predicted${this.real ? `, ${moments.length} happened` : ""}`;
      return svg("svg", { class: "lane-" + kind + " of-" + what, role: "img", "aria-label": label, width, height: high, viewBox: `0 0 ${width} ${high}` }, ...out);
    }
  };
})((window.kax = window.kax || {}));
