"use strict";
// The records, put in order for drawing. Whatever the page shows comes from here.
(function (kax) {
  // The halves of a row: a lane, and above its line what the client sent, below it
  // what the server sent.
  kax.TCP_CLIENT = 0;
  kax.TCP_SERVER = 1;
  kax.HTTP_CLIENT = 2;
  kax.HTTP_SERVER = 3;

  kax.Model = class {
    constructor() {
      this.header = null;
      this.summary = null;
      this.lab = null;
      this.events = [];
      this.steps = [];
      this.plans = [];
      this.others = []; // records that have no place on a timeline
      this.rows = []; // one for each connection, by number
      this.byConn = new Map();
      this.exchanges = new Map(); // "connection:nth" -> record
      this.byPacket = new Map(); // number -> index of its tcp event
    }

    // add takes one record.
    add(record) {
      if (record.event) this.event(record.event);
      else if (record.conn) this.row(record.conn.id).conn = record.conn;
      else if (record.header) this.header = record.header;
      else if (record.step) this.steps.push(record.step);
      else if (record.summary) this.summary = record.summary;
      else if (record.lab) this.lab = record.lab;
      else if (record.plan) this.plans.push(record.plan);
      else if (record.death) this.death(record.death);
      else if (record.exchange) this.exchanges.set(record.exchange.conn + ":" + record.exchange.nth, record.exchange);
      else this.others.push(record);
    }

    row(id) {
      let row = this.byConn.get(id);
      if (!row) {
        row = { id, conn: null, client: "", server: "", events: [], spans: [], groups: [], requests: 0, isn: {} };
        this.byConn.set(id, row);
        this.rows.push(row);
      }
      return row;
    }

    event(e) {
      const row = this.row(e.conn), i = this.events.length;
      this.events.push(e);
      row.events.push(i);
      if (e.packet && e.lane === "tcp") this.byPacket.set(e.packet, i);
      if (e.src && !row.client) {
        row.client = e.side === "client" ? e.src : e.dst;
        row.server = e.side === "client" ? e.dst : e.src;
      }
      if (e.kind === "syn" || e.kind === "syn-ack") row.isn[e.side] = e.seq;
      if (e.kind === "request") e.number = ++row.requests; // on this connection
    }

    // A death is what the program saw: it has no lane of its own, and stands with
    // the packets.
    death(d) {
      const side = this.header && this.header.settings && this.header.settings.server_tcp && !this.header.settings.client_tcp ? "server" : "client";
      this.event({ at: d.at, conn: d.conn, lane: "tcp", kind: d.errno === "ETIMEDOUT" ? "timeout" : "end", side, death: d });
    }

    // finish puts everything in order of time.
    finish() {
      const n = this.events.length;
      this.at = new Float64Array(n);
      this.code = new Uint8Array(n); // of its kind, in this.kinds
      this.kinds = [];
      this.ranks = [];
      const codes = new Map();
      for (let i = 0; i < n; i++) {
        const { at, kind } = this.events[i];
        if (!codes.has(kind)) {
          codes.set(kind, this.kinds.length);
          this.kinds.push(kind);
          this.ranks.push(kax.kind(kind).rank);
        }
        this.at[i] = at;
        this.code[i] = codes.get(kind);
      }
      this.rows.sort((a, b) => a.id - b.id);
      for (const row of this.rows) {
        row.events = Int32Array.from(row.events);
        if (!ordered(row.events, this.at)) row.events.sort((a, b) => this.at[a] - this.at[b] || a - b);
        if (row.conn) [row.client, row.server] = [row.conn.client, row.conn.server];
        this.span(row);
        this.group(row);
      }
      this.rows.forEach((row, i) => { row.index = i; });
    }

    group(row) {
      const groups = [[], [], [], []];
      for (const i of row.events) groups[kax.groupOf(this.events[i])].push(i);
      row.groups = groups.map((g) => Int32Array.from(g));
    }

    // span finds what lies between the messages of a connection: a request being
    // answered, and the idle time before its next request or its end.
    span(row) {
      const events = this.events;
      let asked = -1, idleFrom = -1;
      row.opened = row.conn ? row.conn.opened : row.events.length ? this.at[row.events[0]] : 0;
      row.ended = row.conn ? row.conn.ended : row.events.length ? this.at[row.events[row.events.length - 1]] : 0;
      for (const i of row.events) {
        const e = events[i];
        if (e.lane === "http") {
          if (e.kind === "request") {
            if (idleFrom >= 0) row.spans.push({ kind: e.reused ? "reuse" : "idle", from: idleFrom, to: i });
            idleFrom = -1;
            if (asked < 0) asked = i;
          } else if (e.kind === "response") {
            if (asked >= 0) row.spans.push({ kind: "exchange", from: asked, to: i });
            asked = -1;
            idleFrom = i;
          } else if (e.kind === "idle-close" && idleFrom >= 0) {
            row.spans.push({ kind: "idle", from: idleFrom, to: i });
            idleFrom = -1;
          }
        } else if ((e.kind === "fin" || e.kind === "rst" || e.kind === "timeout") && idleFrom >= 0) {
          row.spans.push({ kind: "idle", from: idleFrom, to: i });
          idleFrom = -1;
        }
      }
    }

    // proof returns the indices of the events that prove a verdict.
    proof(p) {
      const found = [];
      for (const n of p.packets || []) if (this.byPacket.has(n)) found.push(this.byPacket.get(n));
      if (!found.length) {
        for (const id of p.conns || []) {
          const row = this.byConn.get(id);
          if (row) found.push(...row.events.slice(0, 64));
        }
      }
      return found;
    }
  };

  kax.modelOf = function (records) {
    const model = new kax.Model();
    for (const record of records) model.add(record);
    model.finish();
    return model;
  };

  kax.groupOf = (e) => (e.lane === "http" ? 2 : 0) + (e.side === "server" ? 1 : 0);

  function ordered(events, at) {
    for (let i = 1; i < events.length; i++) if (at[events[i]] < at[events[i - 1]]) return false;
    return true;
  }

  // lower is the first place in sorted events whose value is not below v.
  kax.lower = function (events, values, v) {
    let lo = 0, hi = events.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (values[events[mid]] < v) lo = mid + 1;
      else hi = mid;
    }
    return lo;
  };

  // recordsIn reads what a script element holds. A run that was ended by force has
  // left a list without its end, and perhaps half a record.
  kax.recordsIn = function (text) {
    try {
      return { records: JSON.parse(text), cut: false };
    } catch {
      const whole = text.slice(0, text.lastIndexOf("\n")).replace(/,\s*$/, "");
      try {
        return { records: JSON.parse(whole + "]"), cut: true };
      } catch {
        return { records: [], cut: true };
      }
    }
  };
})((window.kax = window.kax || {}));
