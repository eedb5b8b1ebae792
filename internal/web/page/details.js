"use strict";
// What is known of one event: what it means, its fields, its bytes.
(function (kax) {
  // element makes one; what it holds is text, whatever it looks like.
  kax.element = function (name, props = {}, ...children) {
    const el = document.createElement(name);
    for (const [key, value] of Object.entries(props)) {
      if (key === "class") el.className = value;
      else if (key.startsWith("on")) el.addEventListener(key.slice(2), value);
      else if (value !== undefined && value !== false) el.setAttribute(key, value === true ? "" : value);
    }
    for (const child of children.flat(Infinity)) if (child !== undefined && child !== null && child !== "") el.append(child);
    return el;
  };
  const h = kax.element;

  kax.Details = class {
    constructor(box, model, table) {
      this.box = box;
      this.update(model, table);
      this.show(-1);
    }

    update(model, table) {
      this.model = model;
      if (table === this.table) return;
      this.table = table;
      this.nodes = table.nodes || [];
      this.left = table.left || 0;
      this.apart = new Map((table.packets || []).map((p) => [p.number, p]));
      this.stale = true;
    }

    // again shows what has changed: its fields, or the colours.
    again(i, colors) {
      if (i === this.shown && !this.stale && !colors) return;
      this.stale = false;
      this.shown = undefined;
      this.show(i);
    }

    // show shows an event, or what there is to know without one.
    show(i) {
      if (i === this.shown) return;
      this.shown = i;
      const open = new Set([...this.box.querySelectorAll("details[open]")].map((d) => d.dataset.name));
      this.box.replaceChildren(...(i < 0 ? [this.nothing()] : this.event(i, open)));
    }

    nothing() {
      return h("div", { class: "hint" },
        h("p", {}, "Each row is a connection, with two lanes."),
        h("p", {}, h("b", { class: "tcp" }, "TCP"), " asks: is the peer there? The kernel probes an idle connection, and the kernel at the other end answers. No program takes part."),
        h("p", {}, h("b", { class: "http" }, "HTTP"), " asks: may this connection carry another request? Client and server decide, message by message. Probes are none of its business."),
        h("p", {}, "Point at a mark, or focus the timeline and use the arrow keys: then what the packet says stands here, with its bytes."));
    }

    event(i, open) {
      const e = this.model.events[i], packet = this.packetOf(e);
      const apart = packet && this.apart.get(packet.packet), bytes = packet && packet.frame ? unhex(packet.frame) : null;
      const out = [h("div", { class: "what" },
        glyph(e),
        h("div", {},
          h("h3", {}, kax.title(e)),
          h("p", { class: "sub" }, `#${e.conn}, ${kax.from(e)}, at ${kax.moment(e.at)}`)))];
      const sentences = [kax.meaning(e), ...(apart ? apart.meaning : [])].filter(Boolean);
      for (const text of sentences) out.push(h("p", { class: "meaning" }, text));
      out.push(h("dl", {}, this.facts(e, i).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
      if (bytes) out.push(...this.bytes(packet, apart, bytes, open));
      else if (packet) out.push(h("p", { class: "hint" }, "The records bear no bytes of it: --frames puts them there."));
      return out;
    }

    // packetOf is the tcp event of the packet that carries e.
    packetOf(e) {
      const i = this.model.byPacket.get(e.packet);
      return i === undefined ? null : this.model.events[i];
    }

    facts(e, i) {
      const facts = [], add = (name, value) => { if (value !== undefined && value !== "" && value !== null) facts.push([name, String(value)]); };
      const row = this.model.byConn.get(e.conn), k = row.events.indexOf(i);
      if (k > 0) add("since the event before", kax.brief(e.at - this.model.events[row.events[k - 1]].at));
      add("packet", e.packet);
      if (e.src) add("addresses", e.src + " → " + e.dst);
      if (e.flags) add("flags", e.flags.split("").map((f) => flags[f] || f).join(", "));
      if (e.seq !== undefined) {
        const isn = row.isn[e.side], peer = row.isn[e.side === "server" ? "client" : "server"];
        add("sequence", e.seq + relative(e.seq, isn));
        if (e.flags && e.flags.includes("A")) add("acknowledges", e.ack + relative(e.ack, peer));
        add("data", kax.count(e.len, "byte"));
        add("window", kax.count(e.window, "byte"));
      }
      if (e.nth) add("probe of its side", e.nth);
      if (e.idle) add("idle before", kax.brief(e.idle));
      if (e.after) add("after what it answers", kax.brief(e.after));
      if (e.due) add("due", e.due.earliest === e.due.latest ? kax.moment(e.due.earliest) : kax.moment(e.due.earliest) + " to " + kax.moment(e.due.latest));
      if (e.version !== undefined) {
        add("version", e.version);
        add("Connection", e.connection || "not sent");
        add("Keep-Alive", e.keep_alive || "not sent");
      }
      const x = e.kind === "request" && this.model.exchanges.get(e.conn + ":" + e.number);
      if (x) {
        add("URL", x.url);
        add("status", x.status || x.error);
        add(x.reused ? "reused" : "new connection", x.reused ? "saved about " + kax.brief(x.saved || 0) : x.because);
        add("afterwards", x.next);
        add("took", kax.brief(x.total));
      }
      if (e.death) {
        const d = e.death;
        add("error", [d.errno, d.text].filter(Boolean).join(": "));
        add("poll", (d.poll || []).join(", "));
        add("then", d.then);
        add("a write", d.write);
        add("unanswered probes", d.unanswered);
        add("quiet for", kax.brief(d.quiet));
      }
      add("note", e.note);
      return facts;
    }

    bytes(packet, apart, bytes, open) {
      const out = [], hex = new Hex(bytes);
      if (apart) {
        const tree = (id) => {
          const [text, offset, length, inside] = this.nodes[id];
          const label = h("span", { class: "field", onpointerenter: () => hex.mark(offset, length), onpointerleave: () => hex.mark(0, 0) }, text);
          return inside.length
            ? h("li", {}, h("details", { open: inside.length < 3, onfocusin: () => hex.mark(offset, length) }, h("summary", {}, label), h("ul", {}, inside.map(tree))))
            : h("li", {}, label);
        };
        out.push(h("h4", {}, "Fields"));
        apart.layers.forEach((id, k) => {
          const [text, offset, length, inside] = this.nodes[id], name = apart.names[k];
          out.push(h("details", { class: "layer", "data-name": name, open: open.has(name) },
            h("summary", { onpointerenter: () => hex.mark(offset, length), onpointerleave: () => hex.mark(0, 0), onfocus: () => hex.mark(offset, length) }, text),
            h("ul", {}, inside.map(tree))));
        });
      } else if (this.left) {
        out.push(h("p", { class: "hint" }, `Fields are given for the first ${this.apart.size} packets; kax read FILE --packet ${packet.packet} takes this one apart.`));
      }
      const of = packet.length > bytes.length ? `, the first ${bytes.length} of ${packet.length}` : "";
      out.push(h("h4", {}, `Bytes (${packet.link}${of})`), hex.box);
      return out;
    }
  };

  const flags = { F: "FIN", S: "SYN", R: "RST", P: "PSH", A: "ACK", U: "URG", E: "ECE", W: "CWR", e: "AE" };
  const relative = (n, base) => (base === undefined ? "" : ` (${(n - base) >>> 0} relative)`);

  function unhex(text) {
    const out = new Uint8Array(text.length / 2);
    for (let i = 0; i < out.length; i++) out[i] = parseInt(text.substr(2 * i, 2), 16);
    return out;
  }

  // Hex dumps bytes, and marks some of them.
  class Hex {
    constructor(bytes) {
      this.box = h("pre", { class: "hex", tabindex: 0, "aria-label": "Bytes of the packet" });
      this.cells = [];
      const row = 8; // as many as a phone has room for
      for (let at = 0; at < bytes.length; at += row) {
        const chars = [];
        this.box.append(h("span", { class: "offset" }, at.toString(16).padStart(4, "0") + "  "));
        for (let i = at; i < at + row; i++) {
          if (i >= bytes.length) {
            this.box.append("   ");
            continue;
          }
          const b = bytes[i];
          const hex = h("span", {}, b.toString(16).padStart(2, "0")), char = h("span", {}, b > 31 && b < 127 ? String.fromCharCode(b) : "·");
          this.cells.push([hex, char]);
          this.box.append(hex, " ");
          chars.push(char);
        }
        this.box.append(" ", ...chars, "\n");
      }
    }
    mark(offset, length) {
      this.cells.forEach((pair, i) => {
        const on = i >= offset && i < offset + length;
        for (const cell of pair) cell.className = on ? "on" : "";
      });
    }
  }

  // glyph is an event's mark, to stand beside its name.
  function glyph(e, size = 26) {
    const canvas = h("canvas", { width: size * 2, height: size * 2, class: "glyph", "aria-hidden": "true" }), c = canvas.getContext("2d");
    const css = getComputedStyle(document.documentElement), color = (name) => css.getPropertyValue("--" + name).trim();
    c.scale(2, 2);
    kax.mark(c, e, size / 2, size / 2, size / 2 - 6, color(kax.kind(e.kind).alarm ? "alarm" : e.lane === "http" ? "http" : "tcp"), color("paper"));
    return canvas;
  }
  kax.glyph = glyph;
})((window.kax = window.kax || {}));
