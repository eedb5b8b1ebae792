"use strict";
// Time to a place on the axis, in units that a view stretches to pixels. To scale a
// unit is a second. Folded, a gap between two moments is as wide as the root of its
// logarithm, so that 2 hours and 2 ms both leave room for what happens around them.
(function (kax) {
  // SHORTEST is the gap, in seconds, below which widths are to scale.
  const SHORTEST = 20e-6;
  // SEEN is the part of the axis that an idle gap has at least, where they are few.
  const SEEN = 0.06;

  kax.Axis = class {
    // times are sorted.
    constructor(times, folded) {
      this.folded = folded;
      const t = [], u = [], gaps = [];
      let last = NaN;
      for (const at of times) if (at !== last) { t.push(at); last = at; }
      if (!t.length) t.push(0);
      if (t.length === 1) t.push(t[0] + 1);
      for (let i = 1; i < t.length; i++) gaps.push(t[i] - t[i - 1]);
      const wide = folded ? gaps.map((gap) => Math.sqrt(Math.log1p(gap / SHORTEST))) : gaps;
      const idle = folded ? idleGaps(gaps) : [];
      // Among however many events, a few idle gaps are still to be seen.
      const least = wide.reduce((sum, w) => sum + w, 0) * Math.min(SEEN, 4 * SEEN / idle.length);
      for (const i of idle) wide[i] = Math.max(wide[i], least);
      u.push(0);
      for (let i = 0; i < wide.length; i++) u.push(u[i] + wide[i]);
      this.t = Float64Array.from(t);
      this.u = Float64Array.from(u);
      this.end = u[u.length - 1];
      this.breaks = idle.map((i) => ({ t0: t[i], t1: t[i + 1], u0: u[i], u1: u[i + 1] }));
    }

    toU(at) { return interpolate(this.t, this.u, at); }
    toT(u) { return interpolate(this.u, this.t, u); }
  };

  // idleGaps are those far longer than what is usual, by their places.
  function idleGaps(gaps) {
    const usual = gaps.slice().sort((a, b) => a - b)[gaps.length >> 1];
    const from = Math.max(1e-3, 20 * Math.min(usual, 0.05));
    return gaps.flatMap((gap, i) => (gap >= from ? [i] : []));
  }

  function interpolate(from, to, v) {
    const n = from.length;
    let lo = 0, hi = n - 1;
    if (v <= from[0]) hi = 1;
    else if (v >= from[n - 1]) lo = n - 2;
    else {
      while (hi - lo > 1) {
        const mid = (lo + hi) >> 1;
        if (from[mid] <= v) lo = mid;
        else hi = mid;
      }
    }
    hi = lo + 1;
    const width = from[hi] - from[lo];
    return to[lo] + (width ? (v - from[lo]) / width : 0) * (to[hi] - to[lo]);
  }

  // steps gives round times from t0 to t1, about so many.
  kax.roundTimes = function (t0, t1, about) {
    const raw = (t1 - t0) / Math.max(about, 1);
    if (!(raw > 0)) return { step: 1, times: [] };
    const units = [1e-6, 2e-6, 5e-6];
    for (let p = 1e-5; p < 0.9; p *= 10) units.push(p, 2 * p, 5 * p);
    units.push(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400);
    let step = units.find((x) => x >= raw * 0.999);
    if (!step) step = Math.ceil(raw / 86400) * 86400;
    const times = [];
    for (let k = Math.ceil(t0 / step); k * step <= t1 && times.length < 500; k++) times.push(k * step);
    return { step, times };
  };

  // place writes a time on the ruler by itself.
  kax.place = (at) => kax.label(at, at < 0.1 ? 1e-4 : at < 100 ? 1e-3 : 60);

  // label writes a time on the ruler, as exact as the step between two asks for.
  kax.label = function (at, step) {
    if (step >= 60) {
      const s = Math.round(at), h = Math.floor(s / 3600), m = Math.floor((s % 3600) / 60);
      return (h ? h + ":" + String(m).padStart(2, "0") : m) + ":" + String(s % 60).padStart(2, "0");
    }
    if (step < 1e-3 && Math.abs(at) < 1e-3) return Math.round(at * 1e6) + " µs";
    if (step < 1 && Math.abs(at) < 1) return Number((at * 1e3).toFixed(step < 1e-3 ? 3 : 0)) + " ms";
    const digits = step >= 1 ? 0 : Math.min(6, Math.ceil(-Math.log10(step) - 1e-9));
    return at.toFixed(digits) + " s";
  };
})((window.kax = window.kax || {}));
