"use strict";
// The picture: a row for each connection, in it the two lanes, over one axis of
// time. It draws what is in sight and no more; where marks would lie on one another
// it draws how many there are, and the one that says most.
(function (kax) {
  const TCP = 32, HTTP = 78, OFF = 11; // the lines of a row's lanes, and how far from these marks stand
  const MARK = 6, BIN = 9, REACH = 12;
  const Y = [TCP - OFF, TCP + OFF, HTTP - OFF, HTTP + OFF];

  kax.Timeline = class {
    // on has what the page does: hover(i), select(i, open), moved().
    constructor(elements, model, on) {
      Object.assign(this, elements); // box, scroll, canvas, spacer
      this.on = on;
      this.c = this.canvas.getContext("2d", { alpha: false });
      this.selected = this.hovered = -1;
      this.proven = new Set();
      this.folded = true;
      this.pointers = new Map();
      this.take(model);
      this.axes();
      this.listen();
    }

    take(model) {
      this.model = model;
      // Without HTTP rows are lower, without steps the ruler.
      this.http = model.events.some((e) => e.lane === "http");
      this.high = this.http ? 104 : 64;
      this.head = model.steps.length ? 58 : 42;
    }

    // update shows a model that has more events, or other ones. Who sees everything
    // goes on to; who has zoomed in stays there.
    update(model, other) {
      const all = other || this.to - this.from >= this.axis.end, from = this.axis.toT(this.from), to = this.axis.toT(this.to);
      this.take(model);
      if (other) {
        this.selected = this.hovered = -1;
        this.proven = new Set();
        this.scroll.scrollTop = 0;
      }
      this.axes();
      if (!all) this.look(this.axis.toU(from), this.axis.toU(to));
    }

    // axes lays the time out, and shows all of it.
    axes() {
      const m = this.model, times = new Float64Array(m.at.length + m.steps.length);
      times.set(m.at);
      times.set(m.steps.map((s) => s.at), m.at.length);
      times.sort();
      this.axis = new kax.Axis(times, this.folded);
      this.u = Float64Array.from(m.at, (at) => this.axis.toU(at));
      this.fit();
    }

    fold(folded) {
      const middle = this.axis.toT((this.from + this.to) / 2), all = this.to - this.from >= this.axis.end;
      this.folded = folded;
      this.axes();
      if (!all) this.center(this.axis.toU(middle), this.axis.end / 8);
    }

    fit() {
      const pad = this.axis.end * 0.025 || 1;
      this.look(-pad, this.axis.end + pad);
    }

    look(from, to) {
      const end = this.axis.end, most = end * 1.1 || 1, least = Math.max(end * 1e-8, this.folded ? 1e-3 : 2e-6);
      let width = Math.min(Math.max(to - from, least), most);
      let middle = (from + to) / 2;
      middle = Math.min(Math.max(middle, 0), end);
      if (width >= end) middle = Math.min(Math.max(middle, end - width / 2), width / 2);
      this.from = middle - width / 2;
      this.to = middle + width / 2;
      this.draw();
    }
    center(u, width) { this.look(u - width / 2, u + width / 2); }
    zoom(by, x = this.gutter + this.plot / 2) {
      const u = this.uAt(x), width = (this.to - this.from) / by, share = (x - this.gutter) / this.plot;
      this.look(u - width * share, u + width * (1 - share));
    }
    pan(px) {
      const du = px / this.scale;
      this.look(this.from + du, this.to + du);
    }

    get scale() { return this.plot / (this.to - this.from); }
    x(u) { return this.gutter + (u - this.from) * this.scale; }
    uAt(x) { return this.from + (x - this.gutter) / this.scale; }

    // draw draws when the browser next does.
    draw() {
      if (this.waiting) return;
      this.waiting = true;
      requestAnimationFrame(() => {
        this.waiting = false;
        this.paint();
      });
    }

    measure() {
      this.width = this.box.clientWidth;
      this.height = this.sheet
        ? this.head + this.sheet.rows * this.high + 6
        : Math.min(this.head + this.model.rows.length * this.high + 6, Math.max(280, Math.round(innerHeight * 0.72)));
      this.gutter = this.width < 600 ? 62 : 178;
      this.plot = Math.max(this.width - this.gutter - 8, 50);
    }

    size(width, height, ratio) {
      const c = this.canvas, w = Math.round(width * ratio), h = Math.round(height * ratio);
      if (c.width !== w || c.height !== h) {
        c.width = w;
        c.height = h;
        c.style.width = width + "px";
        c.style.height = height + "px";
      }
      this.scroll.style.height = height + "px";
      this.spacer.style.height = Math.max(0, this.head + this.model.rows.length * this.high + 6 - height) + "px";
    }

    // restyle is for when colours have changed.
    restyle() {
      this.ink = null;
      this.draw();
    }

    // colors are those of the style sheet.
    colors(ratio) {
      const css = getComputedStyle(this.box), color = (name) => css.getPropertyValue("--" + name).trim();
      this.ink = {};
      for (const name of ["paper", "band", "ink", "soft", "faint", "line", "tcp", "tcp-soft", "http", "http-soft", "alarm", "mark", "shade"]) this.ink[name] = color(name);
      this.font = css.fontFamily;
      this.sprites = new kax.Sprites(ratio, this.ink.paper);
      this.widths = new Map();
    }

    paint() {
      const began = performance.now();
      this.measure();
      const ratio = this.ratio || devicePixelRatio || 1;
      this.size(this.width, this.height, ratio);
      if (!this.ink || this.sprites.ratio !== ratio) this.colors(ratio);
      const c = this.c, ink = this.ink, top = this.sheet ? this.sheet.first * this.high : this.scroll.scrollTop;
      this.exact = new Uint32Array(this.model.kinds.length); // marks, by kind
      this.hidden = new Uint32Array(this.model.kinds.length); // events behind a bar
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      c.fillStyle = ink.paper;
      c.fillRect(0, 0, this.width, this.height);
      const first = Math.max(0, Math.floor(top / this.high)), rows = this.model.rows;
      const last = Math.min(rows.length, Math.ceil((top + this.height - this.head) / this.high) + 1);
      c.save();
      c.beginPath();
      c.rect(0, this.head, this.width, this.height - this.head);
      c.clip();
      this.background(first, last, top);
      for (let r = first; r < last; r++) this.row(rows[r], this.head + r * this.high - top);
      c.restore();
      this.ruler();
      this.took = performance.now() - began;
    }

    // print draws all connections finer and for paper, which cannot be scrolled: a few
    // on each sheet, which a page of either way up has room for. The last is the
    // canvas itself. It returns what takes the sheets away again.
    print() {
      const each = 4, most = 60, rows = Math.min(this.model.rows.length, most), copies = [], ratio = this.ratio;
      this.ratio = rows > 4 * each ? 2 : 3; // pixels are memory
      this.ink = null;
      for (let first = 0; first === 0 || first < rows; first += each) {
        if (first) {
          const copy = document.createElement("canvas");
          copy.className = "canvas";
          copy.width = this.canvas.width;
          copy.height = this.canvas.height;
          copy.getContext("2d").drawImage(this.canvas, 0, 0);
          this.canvas.before(copy);
          copies.push(copy);
        }
        this.sheet = { first, rows: Math.min(each, rows - first) };
        this.paint();
      }
      return () => {
        for (const copy of copies) copy.remove();
        this.sheet = null;
        this.ratio = ratio;
        this.restyle();
      };
    }

    text(text, x, y, color, size = 11, weight = "", align = "left") {
      const c = this.c;
      c.font = `${weight} ${size}px ${this.font}`;
      c.textAlign = align;
      c.textBaseline = "middle";
      c.fillStyle = color;
      c.fillText(text, x, y);
    }
    wide(text, size = 11, weight = "") {
      const key = weight + size + text;
      let width = this.widths.get(key);
      if (width === undefined) {
        if (this.widths.size > 5000) this.widths.clear();
        this.c.font = `${weight} ${size}px ${this.font}`;
        width = this.c.measureText(text).width;
        this.widths.set(key, width);
      }
      return width;
    }
    // fitting cuts a text to a width.
    fitting(text, width, size, weight) {
      if (text.length > 80) text = text.slice(0, 79) + "…";
      if (this.wide(text, size, weight) <= width) return text;
      let n = text.length;
      while (n > 1 && this.wide(text.slice(0, n) + "…", size, weight) > width) n--;
      return n > 1 ? text.slice(0, n) + "…" : "";
    }
    line(x0, y0, x1, y1, color, width = 1, dash = []) {
      const c = this.c;
      c.strokeStyle = color;
      c.lineWidth = width;
      c.setLineDash(dash);
      c.beginPath();
      c.moveTo(x0, y0);
      c.lineTo(x1, y1);
      c.stroke();
      c.setLineDash([]);
    }

    // inSight calls f with the breaks that can be seen, their ends in pixels, unless
    // there are too many to tell apart.
    inSight(f) {
      const breaks = this.axis.breaks;
      let lo = 0, hi = breaks.length;
      while (lo < hi) {
        const mid = (lo + hi) >> 1;
        if (breaks[mid].u1 < this.from) lo = mid + 1;
        else hi = mid;
      }
      if (lo + this.plot / 4 < breaks.length && breaks[lo + Math.floor(this.plot / 4)].u0 <= this.to) return false;
      for (; lo < breaks.length && breaks[lo].u0 <= this.to; lo++) f(breaks[lo], this.x(breaks[lo].u0), this.x(breaks[lo].u1));
      return true;
    }

    background(first, last, top) {
      const c = this.c, ink = this.ink, bottom = this.head + last * this.high - top;
      for (let r = first; r < last; r++) {
        const y = this.head + r * this.high - top;
        c.fillStyle = ink.band;
        if (r % 2) c.fillRect(0, y, this.width, this.high);
      }
      // Folded time is hatched where there is room to see it.
      this.inSight((b, x0, x1) => {
        if (x1 - x0 < 14) return;
        c.fillStyle = ink.shade;
        const a = Math.max(x0 + 5, this.gutter), e = Math.min(x1 - 5, this.width);
        if (e > a) c.fillRect(a, this.head, e - a, bottom - this.head);
      });
      for (const s of this.model.steps) {
        const x = this.x(this.axis.toU(s.at));
        if (x >= this.gutter && x <= this.width) this.line(x, this.head, x, bottom, ink.soft, 1, [2, 4]);
      }
    }

    row(row, y) {
      const c = this.c, ink = this.ink;
      this.line(0, y + this.high, this.width, y + this.high, ink.line);
      c.save();
      c.beginPath();
      c.rect(this.gutter - 4, y, this.width - this.gutter + 4, this.high);
      c.clip();
      const x0 = this.x(this.axis.toU(row.opened)), x1 = this.x(this.axis.toU(row.ended));
      this.line(Math.max(x0, this.gutter - 4), y + TCP, Math.min(x1, this.width), y + TCP, ink["tcp-soft"], 3);
      const open = !row.conn || row.conn.close === "open" || row.conn.close === "evicted";
      if (open) this.line(Math.max(x1, this.gutter - 4), y + TCP, this.width, y + TCP, ink["tcp-soft"], 3, [3, 5]);
      this.spans(row, y);
      this.pairs(row, y);
      for (let g = 0; g < 4; g++) this.group(row.groups[g], y + Y[g], g);
      c.restore();
      this.name(row, y);
    }

    // name says whose row it is.
    name(row, y) {
      const c = this.c, ink = this.ink, g = this.gutter;
      c.fillStyle = row.index % 2 ? ink.band : ink.paper;
      c.fillRect(0, y, g - 4, this.high - 1);
      if (g < 100) {
        this.text("#" + row.id, 8, y + 18, ink.ink, 14, "600");
        this.text("TCP", g - 8, y + TCP, ink.tcp, 10, "700", "right");
        if (this.http) this.text("HTTP", g - 8, y + HTTP, ink.http, 10, "700", "right");
        return;
      }
      const room = g - 62;
      this.text("#" + row.id, 10, y + 20, ink.ink, 15, "600");
      this.text(this.fitting(row.client, room, 11), 10, y + 39, ink.soft, 11);
      this.text(this.fitting("→ " + row.server, room, 11), 10, y + 54, ink.soft, 11);
      if (row.conn) {
        const k = row.conn;
        if (this.http) this.text(this.fitting(k.requests ? kax.count(k.requests, "request") : k.protocol || "no request", room, 11), 10, y + 72, ink.http, 11);
        this.text(this.fitting(k.reused ? k.reused + " reused" : "", room, 11), 10, y + 87, ink.http, 11);
        if (k.probes) this.text(this.fitting(kax.count(k.probes, "probe"), room, 11), 60, y + 20, ink.tcp, 11);
      }
      this.text("TCP", g - 12, y + TCP, ink.tcp, 11, "700", "right");
      if (this.http) this.text("HTTP", g - 12, y + HTTP, ink.http, 11, "700", "right");
    }

    // spans draws what lies between messages: an answer awaited, a reuse, idle time.
    spans(row, y) {
      const c = this.c, ink = this.ink, spans = row.spans;
      let drawnTo = -1e9;
      // Spans of one connection do not overlap: those in sight stand together.
      let lo = 0, hi = spans.length;
      while (lo < hi) {
        const mid = (lo + hi) >> 1;
        if (this.u[spans[mid].to] < this.from) lo = mid + 1;
        else hi = mid;
      }
      for (; lo < spans.length; lo++) {
        const s = spans[lo], x0 = this.x(this.u[s.from]), x1 = this.x(this.u[s.to]);
        if (x0 > this.width + 20) break;
        if (x1 - drawnTo < 1.5) continue;
        drawnTo = x1;
        const a = Math.max(x0, this.gutter - 30), b = Math.min(x1, this.width + 30);
        if (s.kind === "exchange") {
          c.fillStyle = ink["http-soft"];
          c.fillRect(x0, y + HTTP - 4, Math.max(x1 - x0, 2), 8);
          continue;
        }
        const idle = this.model.at[s.to] - this.model.at[s.from];
        if (s.kind === "reuse") { // the connection is kept: a pipe
          this.line(a, y + HTTP - 2, b, y + HTTP - 2, ink.http, 1.5);
          this.line(a, y + HTTP + 2, b, y + HTTP + 2, ink.http, 1.5);
        } else {
          this.line(a, y + HTTP, b, y + HTTP, ink.http, 1.5, [1.5, 4]);
        }
        const label = (s.kind === "reuse" ? "reused after " : "idle ") + kax.brief(idle);
        const brief = kax.brief(idle);
        const room = b - a - 52; // beside the status of the response
        const shown = this.wide(label, 10.5) <= room ? label : this.wide(brief, 10.5) <= room ? brief : "";
        if (shown) this.text(shown, (a + b) / 2 + 14, y + HTTP + 12, ink.http, 10.5, "", "center");
      }
    }

    // pairs ties each probe to its answer, where both can be told apart.
    pairs(row, y) {
      const c = this.c, m = this.model;
      const probes = row.groups[0], answers = row.groups[1];
      if (!probes.length || this.count(probes) > 400) return;
      c.strokeStyle = this.ink.tcp;
      c.lineWidth = 1.2;
      for (const [asks, answer, up] of [[probes, answers, 1], [answers, probes, -1]]) {
        for (let k = this.lower(asks, this.from); k < asks.length && this.u[asks[k]] <= this.to; k++) {
          const e = m.events[asks[k]];
          if (e.kind !== "probe" && e.kind !== "window-probe") continue;
          const j = this.lower(answer, this.u[asks[k]]), a = answer[j];
          if (e.due) this.due(e, y);
          if (a === undefined || !m.events[a].kind.endsWith("-answer")) continue;
          c.beginPath();
          c.moveTo(this.x(this.u[asks[k]]), y + TCP - up * OFF);
          c.lineTo(this.x(this.u[a]), y + TCP + up * OFF);
          c.stroke();
        }
      }
    }

    // due brackets the time for which a probe was predicted.
    due(e, y) {
      const x0 = this.x(this.axis.toU(e.due.earliest)), x1 = Math.max(this.x(this.axis.toU(e.due.latest)), x0 + 2);
      const at = y + (e.side === "client" ? TCP - OFF - 12 : TCP + OFF + 12), tick = e.side === "client" ? 4 : -4;
      const c = this.c;
      c.strokeStyle = this.ink.soft;
      c.lineWidth = 1;
      c.beginPath();
      c.moveTo(x0, at + tick);
      c.lineTo(x0, at);
      c.lineTo(x1, at);
      c.lineTo(x1, at + tick);
      c.stroke();
    }

    lower(events, u) { return kax.lower(events, this.u, u); }
    count(events) { return this.lower(events, this.to) - this.lower(events, this.from); }

    // group draws one half of a lane.
    group(events, y, g) {
      const pad = 14 / this.scale;
      const end = this.lower(events, this.to + pad);
      let k = this.lower(events, this.from - pad);
      while (k < end) {
        const x0 = this.x(this.u[events[k]]), limit = this.u[events[k]] + BIN / this.scale;
        let next = k + 1;
        while (next < end && this.u[events[next]] < limit) next++;
        if (next - k <= 3) {
          for (let j = k; j < next; j++) this.mark(events[j], this.x(this.u[events[j]]), y, g);
        } else this.dense(events, k, next, x0, y, g);
        if (next - k <= 3) this.label(events, k, next, y, g);
        k = next;
      }
    }

    inkOf(e) {
      return kax.kind(e.kind).alarm ? this.ink.alarm : e.lane === "http" ? this.ink.http : this.ink.tcp;
    }

    mark(i, x, y) {
      const e = this.model.events[i], ink = this.ink, c = this.c;
      if (this.proven.has(i)) {
        c.fillStyle = ink.mark;
        c.beginPath();
        c.arc(x, y, MARK + 6, 0, 7);
        c.fill();
      }
      this.sprites.draw(c, e, x, y, MARK, this.inkOf(e));
      if (i === this.selected || i === this.hovered) {
        c.strokeStyle = ink.ink;
        c.lineWidth = i === this.selected ? 2 : 1;
        c.beginPath();
        c.arc(x, y, MARK + 4.5, 0, 7);
        c.stroke();
      }
      this.exact[this.model.code[i]]++;
    }

    // dense draws how many there are, and the one that says most.
    dense(events, k, next, x, y, g) {
      const m = this.model, c = this.c, n = next - k;
      let best = events[k], most = -1;
      for (let j = k; j < next; j++) {
        const i = events[j], rank = i === this.selected ? 99 : m.ranks[m.code[i]];
        this.hidden[m.code[i]]++;
        if (rank > most) {
          most = rank;
          best = i;
        }
      }
      const high = Math.min(14, 4 + Math.log2(n) * 1.6), below = g % 2;
      c.fillStyle = g < 2 ? this.ink["tcp-soft"] : this.ink["http-soft"];
      c.fillRect(x - 1, below ? y - OFF + 2 : y + OFF - 2 - high - 4, BIN - 1, high + 4);
      const e = m.events[best];
      if (most >= 5) {
        if (best === this.selected || this.proven.has(best)) {
          c.strokeStyle = this.ink.ink;
          c.lineWidth = 2;
          c.beginPath();
          c.arc(x + BIN / 2 - 1, y, MARK + 4, 0, 7);
          c.stroke();
        }
        this.sprites.draw(c, e, x + BIN / 2 - 1, y, MARK * 0.75, this.inkOf(e));
      }
    }

    // label names a mark where nothing else needs the room.
    label(events, k, next, y, g) {
      if (next - k !== 1) return;
      const i = events[k], text = kax.short(this.model.events[i]);
      if (!text) return;
      const x = this.x(this.u[i]) + MARK + (this.proven.has(i) || i === this.selected ? 9 : 4);
      const until = next < events.length ? Math.min(this.x(this.u[events[next]]) - MARK - 4, this.width) : this.width - 4;
      const shown = until - x >= 24 ? this.fitting(text, until - x, 10.5) : "";
      if (shown && (shown === text || shown.length > 4)) this.text(shown, x, y + (g % 2 ? 3 : -3), g < 2 ? this.ink.tcp : this.ink.http, 10.5);
    }

    ruler() {
      const c = this.c, ink = this.ink, base = this.head - 1;
      c.fillStyle = ink.paper;
      c.fillRect(0, 0, this.width, this.head);
      this.line(0, base, this.width, base, ink.soft);
      c.save();
      c.beginPath();
      c.rect(this.gutter - 4, 0, this.width, this.head);
      c.clip();
      if (this.folded) this.foldedTicks(base);
      else this.ticks(base, this.axis.toT(this.from), this.axis.toT(this.to), this.plot / 90);
      this.stepNames();
      c.restore();
    }

    ticks(base, t0, t1, about) {
      const { step, times } = kax.roundTimes(t0, t1, about);
      for (const at of times) {
        const x = this.x(this.axis.toU(at));
        this.line(x, base - 6, x, base, this.ink.soft);
        this.text(kax.label(at, step), x, base - 16, this.ink.ink, 10.5, "", "center");
      }
    }

    // foldedTicks names the moments after breaks, and above the line what the breaks
    // leave out.
    foldedTicks(base) {
      const ink = this.ink, row = base - 30;
      let free = this.gutter - 4;
      const place = (text, x, color) => {
        const w = this.wide(text, 10.5);
        if (x - 3 < free || x - 3 + w > this.width) return;
        this.text(text, x - 3, row, color, 10.5);
        free = x + w + 7;
      };
      const stretch = (u0, u1) => { // between two breaks: as events are there
        const x0 = this.x(u0), x1 = this.x(u1), t0 = this.axis.toT(u0);
        this.line(x0, base - 22, x0, base, ink.soft);
        place(kax.place(t0), x0, ink.ink);
        for (let x = x0 + 100; x < Math.min(x1 - 40, this.width); x += 100) {
          if (x < this.gutter) continue;
          this.line(x, base - 5, x, base, ink.soft);
          place("+" + kax.brief(this.axis.toT(this.uAt(x)) - t0), x, ink.soft);
        }
      };
      let began = Math.max(0, this.from);
      const told = this.inSight((b, x0, x1) => {
        if (b.u0 > began) stretch(began, b.u0);
        began = b.u1;
        const a = Math.max(x0, this.gutter), e = Math.min(x1, this.width), text = kax.brief(b.t1 - b.t0);
        if (e - a < 10) return;
        this.zigzag((a + e) / 2, base);
        if (this.wide(text, 10) < e - a - 6) this.text(text, (a + e) / 2, base - 13, ink.soft, 10, "italic", "center");
      });
      if (told) {
        if (began < this.to) stretch(began, Math.min(this.to, this.axis.end));
        return;
      }
      for (let x = this.gutter + 20; x < this.width; x += 90) {
        this.line(x, base - 22, x, base, ink.soft);
        place(kax.place(this.axis.toT(this.uAt(x))), x, ink.ink);
      }
    }

    zigzag(x, y) {
      const c = this.c;
      c.fillStyle = this.ink.paper;
      c.fillRect(x - 5, y - 3, 10, 6);
      c.strokeStyle = this.ink.soft;
      c.lineWidth = 1.2;
      c.beginPath();
      c.moveTo(x - 6, y);
      c.lineTo(x - 3, y - 5);
      c.lineTo(x, y + 1);
      c.lineTo(x + 3, y - 5);
      c.lineTo(x + 6, y);
      c.stroke();
    }

    stepNames() {
      let free = 0;
      const steps = this.model.steps;
      steps.forEach((s, k) => {
        const x = this.x(this.axis.toU(s.at));
        if (x < this.gutter - 4 || x > this.width) return;
        const next = k + 1 < steps.length ? this.x(this.axis.toU(steps[k + 1].at)) : this.width;
        if (x < free) return;
        const shown = this.fitting(s.name + ": " + s.text, next - x - 14, 11) || this.fitting(s.name, next - x - 10, 11);
        if (!shown) return;
        this.text(shown, x + 4, 9, this.ink.ink, 11);
        this.line(x, 2, x, this.head, this.ink.faint, 1, [2, 4]);
        free = x + this.wide(shown, 11) + 8;
      });
    }

    // at finds the event nearest to a place, or -1.
    at(x, y) {
      if (y < this.head || x < this.gutter - 8) return -1;
      const down = y - this.head + this.scroll.scrollTop, row = this.model.rows[Math.floor(down / this.high)];
      if (!row) return -1;
      let best = -1, least = REACH * REACH;
      for (let g = 0; g < 4; g++) {
        const dy = (down % this.high) - Y[g], events = row.groups[g];
        if (Math.abs(dy) > REACH) continue;
        const from = this.lower(events, this.uAt(x - REACH)), end = Math.min(this.lower(events, this.uAt(x + REACH)), from + 5000);
        for (let k = from; k < end; k++) {
          const dx = this.x(this.u[events[k]]) - x;
          const d = dx * dx + dy * dy - kax.kind(this.model.events[events[k]].kind).rank; // of two as near, what says more
          if (d < least) {
            least = d;
            best = events[k];
          }
        }
      }
      return best;
    }

    // place is where an event stands in the picture.
    place(i) {
      const e = this.model.events[i], row = this.model.byConn.get(e.conn);
      return { x: this.x(this.u[i]), y: this.head + row.index * this.high + Y[kax.groupOf(e)] - this.scroll.scrollTop };
    }

    // show brings an event into sight.
    show(i) {
      const u = this.u[i], width = this.to - this.from, margin = width * 0.015;
      if (u < this.from + margin || u > this.to - margin) this.center(u, width);
      const row = this.model.byConn.get(this.model.events[i].conn), top = row.index * this.high;
      const room = this.height - this.head;
      if (top < this.scroll.scrollTop) this.scroll.scrollTop = top;
      else if (top + this.high > this.scroll.scrollTop + room) this.scroll.scrollTop = top + this.high - room;
      this.draw();
    }

    select(i, open) {
      this.selected = i;
      if (i >= 0) this.show(i);
      this.draw();
      this.on.select(i, open);
    }

    // prove brings what proves a verdict into sight, and marks it.
    prove(events) {
      this.proven = new Set(events);
      if (!events.length) return;
      let from = Infinity, to = -Infinity;
      for (const i of events) {
        from = Math.min(from, this.u[i]);
        to = Math.max(to, this.u[i]);
      }
      const pad = Math.max((to - from) * 0.12, this.axis.end * 0.01);
      this.look(from - pad, to + pad);
      this.select(events[0], false);
    }

    // step moves along a connection.
    step(by) {
      const rows = this.model.rows;
      if (!rows.length) return;
      if (this.selected < 0) {
        const first = rows.find((r) => r.events.length);
        if (first) this.select(first.events[0], false);
        return;
      }
      const row = this.model.byConn.get(this.model.events[this.selected].conn);
      const k = row.events.indexOf(this.selected) + by;
      this.select(row.events[Math.max(0, Math.min(k, row.events.length - 1))], false);
    }
    // change moves to the connection above or below, at about the same time.
    change(by) {
      if (this.selected < 0) return this.step(0);
      const rows = this.model.rows, at = this.model.at[this.selected];
      let r = this.model.byConn.get(this.model.events[this.selected].conn).index + by;
      while (rows[r] && !rows[r].events.length) r += by;
      if (!rows[r]) return;
      const events = rows[r].events, k = kax.lower(events, this.model.at, at);
      const before = events[Math.max(k - 1, 0)], after = events[Math.min(k, events.length - 1)];
      this.select(Math.abs(this.model.at[after] - at) <= Math.abs(this.model.at[before] - at) ? after : before, false);
    }

    listen() {
      const box = this.box;
      this.scroll.addEventListener("scroll", () => this.draw());
      new ResizeObserver(() => this.draw()).observe(box);
      box.addEventListener("keydown", (ev) => this.key(ev));
      box.addEventListener("wheel", (ev) => this.wheel(ev), { passive: false });
      box.addEventListener("pointerdown", (ev) => this.down(ev));
      box.addEventListener("pointermove", (ev) => this.move(ev));
      for (const name of ["pointerup", "pointercancel"]) box.addEventListener(name, (ev) => this.up(ev));
      box.addEventListener("pointerleave", () => this.hover(-1));
      box.addEventListener("dblclick", (ev) => this.zoom(3, this.local(ev).x));
      box.addEventListener("focus", () => { if (this.selected < 0 && box.matches(":focus-visible")) this.step(0); });
    }

    local(ev) {
      const r = this.canvas.getBoundingClientRect();
      return { x: ev.clientX - r.left, y: ev.clientY - r.top };
    }

    hover(i) {
      if (i === this.hovered) return;
      this.hovered = i;
      this.box.classList.toggle("on-event", i >= 0);
      this.draw();
      this.on.hover(i);
    }

    down(ev) {
      if (ev.button) return;
      this.pointers.set(ev.pointerId, this.local(ev));
      this.moved = 0;
      this.box.setPointerCapture(ev.pointerId);
    }
    move(ev) {
      const p = this.local(ev), was = this.pointers.get(ev.pointerId);
      if (!was) {
        if (ev.pointerType !== "touch") this.hover(this.at(p.x, p.y));
        return;
      }
      if (this.pointers.size === 2) {
        const other = [...this.pointers].find(([id]) => id !== ev.pointerId)[1];
        const before = Math.abs(was.x - other.x), now = Math.abs(p.x - other.x);
        if (before > 12 && now > 12) this.zoom(now / before, (p.x + other.x) / 2);
        this.moved = 99;
      } else {
        this.moved += Math.abs(p.x - was.x) + Math.abs(p.y - was.y);
        if (this.moved > 4) {
          this.hover(-1);
          this.pan(was.x - p.x);
          if (ev.pointerType === "mouse") this.scroll.scrollTop += was.y - p.y;
        }
      }
      this.pointers.set(ev.pointerId, p);
    }
    up(ev) {
      if (!this.pointers.delete(ev.pointerId) || ev.type === "pointercancel" || this.moved > 4) return;
      const p = this.local(ev), i = this.at(p.x, p.y);
      if (i >= 0) this.select(i, false);
    }

    wheel(ev) {
      const p = this.local(ev);
      if (ev.ctrlKey || ev.metaKey) {
        ev.preventDefault();
        this.zoom(Math.exp(-Math.max(-200, Math.min(200, ev.deltaY)) * 0.006), p.x);
      } else if (ev.shiftKey || Math.abs(ev.deltaX) > Math.abs(ev.deltaY)) {
        ev.preventDefault();
        this.pan(ev.deltaX || ev.deltaY);
      }
    }

    key(ev) {
      if (ev.ctrlKey || ev.metaKey || ev.altKey) return;
      const keys = {
        ArrowRight: () => (ev.shiftKey ? this.pan(this.plot / 6) : this.step(1)),
        ArrowLeft: () => (ev.shiftKey ? this.pan(-this.plot / 6) : this.step(-1)),
        ArrowDown: () => this.change(1),
        ArrowUp: () => this.change(-1),
        Home: () => this.step(-Infinity),
        End: () => this.step(Infinity),
        Enter: () => { if (this.selected >= 0) this.on.select(this.selected, true); },
        "+": () => this.zoom(1.6, this.middle()), "=": () => this.zoom(1.6, this.middle()),
        "-": () => this.zoom(1 / 1.6, this.middle()), 0: () => this.fit(),
        f: () => this.on.fold(), F: () => this.on.fold(),
        Escape: () => { this.proven = new Set(); this.select(-1, false); },
      };
      const act = keys[ev.key];
      if (!act) return;
      ev.preventDefault();
      act();
    }
    // middle is where keys zoom: at the event that is selected, if it can be seen.
    middle() {
      if (this.selected < 0) return undefined;
      const x = this.x(this.u[this.selected]);
      return x >= this.gutter && x <= this.width ? x : undefined;
    }
  };
})((window.kax = window.kax || {}));
