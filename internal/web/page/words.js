"use strict";
// What events are called and what they mean, in the words of kax's other views.
(function (kax) {
  // brief writes a time that was measured, with two to four significant digits.
  kax.brief = function (s) {
    if (s < 0) return "−" + kax.brief(-s);
    const us = Math.round(s * 1e6);
    if (us < 1000) return us + " µs";
    if (us < 99950) return Number((us / 1e3).toPrecision(3)) + " ms";
    if (us < 999500) return Math.round(us / 1e3) + " ms";
    if (s < 99.995) return s.toFixed(2) + " s";
    return kax.clock(Math.round(s));
  };

  // clock writes a time that was chosen: 500ms, 15s, 1m15s, 2h.
  kax.clock = function (s) {
    if (s === 0) return "0s";
    if (s < 1) return Number((s * 1e3).toFixed(3)) + "ms";
    const h = Math.floor(s / 3600), m = Math.floor((s % 3600) / 60), rest = Number((s % 60).toFixed(3));
    return (h ? h + "h" : "") + (m ? m + "m" : "") + (rest ? rest + "s" : "");
  };

  // moment writes a place on the timeline, to the microsecond where that says more.
  kax.moment = (s) => s.toFixed(6).replace(/(\.\d{3}\d*?)0+$/, "$1") + " s";

  kax.count = (n, what) => n + " " + what + (n === 1 ? "" : "s");

  kax.names = {
    syn: "SYN", "syn-ack": "SYN, ACK", established: "open", data: "data", ack: "ACK",
    probe: "probe", "probe-answer": "probe's answer", "window-probe": "window probe",
    "window-probe-answer": "window probe's answer", retransmission: "sent again", fin: "FIN", rst: "RST",
    timeout: "given up", end: "end, as the program saw it",
    request: "request", response: "response", interim: "1xx response", upgrade: "upgrade",
    "idle-close": "idle timeout", error: "error", retry: "sent again", opaque: "not HTTP/1",
  };

  // title says what an event is, in a few words.
  kax.title = function (e) {
    const after = e.after ? " after " + kax.brief(e.after) : "";
    switch (e.kind) {
      case "syn": return "SYN";
      case "syn-ack": return "SYN, ACK";
      case "established": return "Open" + after;
      case "data": return "Data, " + kax.count(e.len ?? 0, "byte");
      case "ack": return "ACK";
      case "probe": return "Keepalive probe " + e.nth + ", idle " + kax.brief(e.idle || 0);
      case "probe-answer": return "Probe answered" + after;
      case "window-probe": return "Window probe";
      case "window-probe-answer": return "Window probe answered" + after;
      case "retransmission": return "Sent again, " + kax.count(e.len ?? 0, "byte");
      case "fin": return "FIN";
      case "rst": return "RST";
      case "timeout": case "end": return "The program: " + (e.death.text || e.death.errno || "end of file");
      case "request": return e.method + " " + e.target + (e.reused ? ", reused after " + kax.brief(e.idle || 0) + " idle" : ", new connection");
      case "response": case "interim": case "upgrade": return "Status " + e.status + stays(e);
      case "idle-close": return "Closed: idle for " + kax.brief(e.idle || 0);
      default: return kax.names[e.kind] || e.kind;
    }
  };

  function stays(e) {
    if (e.kind !== "response") return "";
    if (e.connection) return ", Connection: " + e.connection;
    if (e.version === "HTTP/1.0") return ", HTTP/1.0: closes";
    return e.note ? "" : ", stays open";
  }

  // short is what fits beside a mark.
  kax.short = function (e) {
    switch (e.kind) {
      case "request": return e.method + " " + e.target;
      case "response": case "interim": case "upgrade": return String(e.status);
      case "data": case "retransmission": return e.len ? String(e.len) : "";
      case "probe": case "window-probe": return e.nth ? "probe " + e.nth : "window probe";
      case "idle-close": return "idle " + kax.brief(e.idle || 0);
      case "fin": return "FIN";
      case "rst": return "RST";
      case "syn": return "SYN";
      case "timeout": return "given up";
      case "error": case "retry": case "opaque": return kax.names[e.kind];
      default: return "";
    }
  };

  // meaning is a sentence or two, where no packet's bytes say more.
  kax.meaning = function (e) {
    switch (e.kind) {
      case "request": return e.reused
        ? "A request on a connection that has carried one before: no handshake was needed."
        : "The first request on its connection, which had to be opened for it.";
      case "response": return e.connection && /close/i.test(e.connection)
        ? "The response says that this connection carries no other request."
        : "The response; what follows on this connection is decided by both messages (RFC 9112 section 9.3).";
      case "interim": return "A response before the response.";
      case "upgrade": return "From here on the connection carries another protocol.";
      case "idle-close": return "The server's idle timeout: nobody asked for anything, and the server says goodbye. Probes do not count as requests.";
      case "error": return "A message failed, or broke off.";
      case "retry": return "The client sent the request again by itself, on another connection.";
      case "opaque": return "Nothing of HTTP/1 can be read here.";
      case "probe": return "Keepalive asks whether the peer is still there. It carries no request, and no program sees it.";
      case "probe-answer": return "The kernel at the other end answers: the peer is there. That says nothing of the HTTP server above it.";
      case "timeout": return "The kernel gave the peer up, and the program saw it.";
      default: return "";
    }
  };

  // from says who sent it.
  kax.from = (e) => (e.side === "server" ? "server → client" : "client → server");
})((window.kax = window.kax || {}));
