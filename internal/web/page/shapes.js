"use strict";
// A shape for each kind of event: colours only repeat what shapes say. Marks of the
// client stand above their lane's line and point down to the server, the server's
// below and up.
(function (kax) {
  // Importance decides which mark is drawn where many would lie on one another.
  const kinds = {
    ack: { rank: 0, draw: dot },
    data: { rank: 2, draw: bar },
    established: { rank: 3, draw: (c, s, d) => triangle(c, s, d, true) },
    "syn-ack": { rank: 4, draw: (c, s, d) => { triangle(c, s, d, false); dot(c, s * 0.8); } },
    syn: { rank: 5, draw: (c, s, d) => triangle(c, s, d, false) },
    "probe-answer": { rank: 6, draw: (c, s) => diamond(c, s, false) },
    "window-probe-answer": { rank: 6, draw: (c, s) => { diamond(c, s, false); line(c, -s * 0.5, s * 0.5, s * 0.5, -s * 0.5); } },
    "window-probe": { rank: 7, draw: halfDiamond },
    probe: { rank: 8, draw: (c, s) => diamond(c, s, true) },
    retransmission: { rank: 9, draw: doubleBar },
    fin: { rank: 10, draw: stop },
    rst: { rank: 12, draw: cross, alarm: true },
    timeout: { rank: 13, draw: hourglass, alarm: true },
    end: { rank: 11, draw: hourglass },
    interim: { rank: 1, draw: (c, s) => ring(c, s * 0.6) },
    upgrade: { rank: 6, draw: up },
    response: { rank: 3, draw: (c, s, d, e) => box(c, s, d, e && e.status >= 400) },
    request: { rank: 8, draw: (c, s, d, e) => tag(c, s, d, e && e.reused) },
    "idle-close": { rank: 10, draw: watch },
    opaque: { rank: 7, draw: lock },
    retry: { rank: 9, draw: circular },
    error: { rank: 12, draw: warning, alarm: true },
  };
  const unknown = { rank: 1, draw: (c, s) => ring(c, s) };

  kax.kind = (name) => kinds[name] || unknown;

  // mark draws an event at a place. size is half its height.
  kax.mark = function (c, e, x, y, size, ink, paper) {
    c.save();
    c.translate(x, y);
    c.strokeStyle = c.fillStyle = ink;
    c.lineWidth = 1.6;
    c.lineJoin = "round";
    c.paper = paper; // what the inside of hollow shapes has
    kax.kind(e.kind).draw(c, size, e.side === "server" ? -1 : 1, e);
    c.restore();
  };

  // Sprites keep marks that have been drawn once: a picture of a frame has thousands.
  kax.Sprites = class {
    constructor(ratio, paper) {
      Object.assign(this, { ratio, paper, known: new Map() });
    }
    draw(c, e, x, y, size, ink) {
      const key = `${e.kind} ${e.side === "server"} ${!!e.reused} ${e.status >= 400} ${size} ${ink}`, r = size + 4;
      let sprite = this.known.get(key);
      if (!sprite) {
        sprite = document.createElement("canvas");
        sprite.width = sprite.height = Math.ceil(2 * r * this.ratio);
        const of = sprite.getContext("2d");
        of.scale(this.ratio, this.ratio);
        kax.mark(of, e, r, r, size, ink, this.paper);
        this.known.set(key, sprite);
      }
      const width = sprite.width / this.ratio;
      c.drawImage(sprite, x - r, y - r, width, width);
    }
  };

  // legend is what stands in the legend: an event like those it explains.
  kax.legend = [
    ["tcp", [{ kind: "syn" }, { kind: "syn-ack" }, { kind: "established" }, { kind: "data" }, { kind: "ack" }, { kind: "probe" },
      { kind: "probe-answer" }, { kind: "window-probe" }, { kind: "window-probe-answer" }, { kind: "retransmission" }, { kind: "fin" }, { kind: "rst" }, { kind: "timeout" }, { kind: "end" }]],
    ["http", [{ kind: "request", name: "request, new connection" }, { kind: "request", reused: true, name: "request, reused connection" },
      { kind: "response" }, { kind: "response", status: 500, name: "response, 4xx or 5xx" }, { kind: "interim" }, { kind: "upgrade" }, { kind: "idle-close" }, { kind: "error" },
      { kind: "retry" }, { kind: "opaque" }]],
  ];

  function fill(c, hollow) {
    const ink = c.fillStyle;
    if (hollow) c.fillStyle = c.paper;
    c.fill();
    c.fillStyle = ink;
    c.stroke();
  }
  function path(c, points) {
    c.beginPath();
    points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
    c.closePath();
  }
  function line(c, x0, y0, x1, y1) {
    c.beginPath();
    c.moveTo(x0, y0);
    c.lineTo(x1, y1);
    c.stroke();
  }
  function dot(c, s) {
    c.beginPath();
    c.arc(0, 0, s * 0.36, 0, 7);
    c.fill();
  }
  function ring(c, s) {
    c.beginPath();
    c.arc(0, 0, s * 0.8, 0, 7);
    fill(c, true);
  }
  function triangle(c, s, d, filled) {
    path(c, [[-s * 0.9, -s * 0.8 * d], [s * 0.9, -s * 0.8 * d], [0, s * 0.9 * d]]);
    fill(c, !filled);
  }
  function bar(c, s) { c.fillRect(-s * 0.42, -s, s * 0.84, s * 2); }
  function doubleBar(c, s) {
    c.fillRect(-s * 0.75, -s, s * 0.5, s * 2);
    c.fillRect(s * 0.25, -s, s * 0.5, s * 2);
  }
  function diamond(c, s, filled) {
    path(c, [[0, -s * 1.1], [s * 1.1, 0], [0, s * 1.1], [-s * 1.1, 0]]);
    fill(c, !filled);
  }
  function halfDiamond(c, s) {
    diamond(c, s, false);
    path(c, [[0, -s * 1.1], [-s * 1.1, 0], [0, s * 1.1]]);
    c.fill();
  }
  function stop(c, s, d) {
    c.fillRect(-s * 0.95, s * 0.45 * d - s * 0.3, s * 1.9, s * 0.6);
    c.fillRect(-s * 0.25, -s, s * 0.5, s * 2);
  }
  function cross(c, s) {
    c.lineWidth = 3;
    c.lineCap = "round";
    line(c, -s * 0.8, -s * 0.8, s * 0.8, s * 0.8);
    line(c, -s * 0.8, s * 0.8, s * 0.8, -s * 0.8);
  }
  function hourglass(c, s) {
    path(c, [[-s * 0.8, -s], [s * 0.8, -s], [-s * 0.8, s], [s * 0.8, s]]);
    fill(c, false);
  }
  function tag(c, s, d, reused) {
    path(c, [[-s * 0.85, -s * d], [s * 0.85, -s * d], [s * 0.85, s * 0.25 * d], [0, s * 1.05 * d], [-s * 0.85, s * 0.25 * d]]);
    fill(c, false);
    if (reused) { // a link of the chain
      c.fillStyle = c.paper;
      c.beginPath();
      c.arc(0, -s * 0.25 * d, s * 0.36, 0, 7);
      c.fill();
    }
  }
  function box(c, s, d, failed) {
    path(c, [[-s * 0.85, s * d], [s * 0.85, s * d], [s * 0.85, -s * 0.25 * d], [0, -s * 1.05 * d], [-s * 0.85, -s * 0.25 * d]]);
    fill(c, true);
    if (failed) line(c, -s * 0.55, s * 0.75, s * 0.55, -s * 0.55);
  }
  function watch(c, s) {
    c.beginPath();
    c.arc(0, 0, s, 0, 7);
    fill(c, true);
    line(c, 0, 0, 0, -s * 0.7);
    line(c, 0, 0, s * 0.5, s * 0.2);
  }
  function up(c, s) {
    line(c, 0, s, 0, -s * 0.6);
    path(c, [[0, -s * 1.1], [s * 0.8, -s * 0.1], [-s * 0.8, -s * 0.1]]);
    c.fill();
  }
  function lock(c, s) {
    c.fillRect(-s * 0.8, -s * 0.1, s * 1.6, s * 1.1);
    c.beginPath();
    c.arc(0, -s * 0.1, s * 0.5, Math.PI, 0);
    c.stroke();
  }
  function circular(c, s) {
    c.beginPath();
    c.arc(0, 0, s * 0.8, 0.6, 5.6);
    c.stroke();
    path(c, [[s * 0.3, -s * 0.9], [s * 1.15, -s * 0.75], [s * 0.75, -s * 0.05]]);
    c.fill();
  }
  function warning(c, s) {
    path(c, [[0, -s * 1.1], [s * 1.1, s * 0.9], [-s * 1.1, s * 0.9]]);
    fill(c, true);
    c.fillRect(-s * 0.14, -s * 0.4, s * 0.28, s * 0.7);
    c.fillRect(-s * 0.14, s * 0.45, s * 0.28, s * 0.25);
  }
})((window.kax = window.kax || {}));
