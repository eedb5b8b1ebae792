"use strict";
// Tables: the same for those who read, listen or print.
(function (kax) {
  const h = kax.element;

  // table makes one of texts and elements. caption is for those who listen.
  kax.table = function (caption, heads, rows) {
    return h("table", {},
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, i) => h(i ? "td" : "th", i ? {} : { scope: "row" }, cell))))));
  };

  const PAGE = 200;

  // Events pages through all of them.
  kax.Events = class {
    constructor(box, bar, model, show) {
      Object.assign(this, { box, bar, show, page: 0 });
      this.update(model);
    }

    update(model, other) {
      this.model = model;
      this.order = Int32Array.from(model.events.keys()).sort((a, b) => model.at[a] - model.at[b] || a - b);
      this.turn(other ? 0 : this.page);
    }

    turn(page) {
      const pages = Math.max(1, Math.ceil(this.order.length / PAGE));
      this.page = Math.max(0, Math.min(page, pages - 1));
      const from = this.page * PAGE, to = Math.min(from + PAGE, this.order.length);
      this.fill(from, to);
      const button = (text, to, off) => h("button", { type: "button", disabled: off, onclick: () => this.turn(to) }, text);
      this.bar.replaceChildren(...(pages === 1 ? [] : [
        button("First", 0, this.page === 0), button("Previous", this.page - 1, this.page === 0),
        h("span", {}, `events ${from + 1} to ${to} of ${this.order.length}`),
        button("Next", this.page + 1, this.page === pages - 1), button("Last", pages - 1, this.page === pages - 1)]));
    }

    fill(from, to) {
      const rows = [];
      for (const i of this.order.subarray(from, to)) {
        const e = this.model.events[i];
        rows.push([
          h("button", { type: "button", class: "link", onclick: () => this.show(i), "aria-label": "Show in the timeline, at " + kax.moment(e.at) }, kax.moment(e.at)),
          "#" + e.conn, e.lane.toUpperCase(), kax.from(e), kax.names[e.kind] || e.kind, kax.title(e), e.packet ? String(e.packet) : ""]);
      }
      this.box.replaceChildren(kax.table("Events in order of time", ["time", "connection", "lane", "from", "kind", "what", "packet"], rows));
    }
  };

  // connections tables their sums.
  const CONNECTIONS = 500;
  kax.connections = function (box, model, show) {
    const rows = model.rows.slice(0, CONNECTIONS).map((row) => {
      const k = row.conn || {};
      return [
        h("button", { type: "button", class: "link", onclick: () => row.events.length && show(row.events[0]) }, "#" + row.id),
        row.client, row.server, num(k.requests), num(k.reused), num(k.probes), num(k.answered), num(k.retransmissions), end(k), kax.brief(row.ended - row.opened)];
    });
    box.replaceChildren(kax.table("Connections", ["connection", "client", "server", "requests", "reused", "probes", "answered", "sent again", "closed", "lasted"], rows));
    if (model.rows.length > CONNECTIONS) box.append(h("p", { class: "hint" }, `and ${model.rows.length - CONNECTIONS} more`));
  };
  const num = (n) => (n === undefined ? "" : String(n));
  function end(k) {
    switch (k.close) {
      case undefined: return "";
      case "open": return "still open";
      case "evicted": return "no longer followed";
      case "timeout": return "peer given up";
      default: return k.close.toUpperCase() + (k.closed_by ? " by the " + k.closed_by : "");
    }
  }
})((window.kax = window.kax || {}));
