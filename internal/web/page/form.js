"use strict";
// The settings of an experiment.
(function (kax) {
  const h = (...args) => kax.element(...args);
  const STOPS = [1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60, 75, 90, 120, 180, 300, 600, 900, 1800, 3600, 7200];

  // seconds reads what the server takes for a duration, for the slider's sake; NaN is
  // for the server to refuse.
  const units = { h: 3600, m: 60, s: 1, ms: 1e-3, us: 1e-6, "µs": 1e-6, ns: 1e-9 };
  function seconds(text) {
    if (/^[\d.]+$/.test(text)) return Number(text);
    if (!/^([\d.]+(h|ms|us|µs|ns|m|s))+$/.test(text)) return NaN;
    let s = 0;
    for (const [, n, unit] of text.matchAll(/([\d.]+)(h|ms|us|µs|ns|m|s)/g)) s += n * units[unit];
    return s;
  }

  kax.Form = class {
    // changed is called when what is asked for has changed.
    constructor(box, changed) {
      Object.assign(this, { box, changed, experiment: null, inputs: new Map() });
    }

    show(experiment, settings = {}) {
      this.experiment = experiment;
      this.inputs.clear();
      this.box.replaceChildren(...experiment.settings.map((s) => this.setting(s, settings[s.name] ?? s.value)));
      this.enable();
    }

    // ask is what is asked for.
    ask() {
      const settings = {};
      for (const [name, input] of this.inputs) settings[name] = input.type === "checkbox" ? String(input.checked) : input.value.trim();
      return { experiment: this.experiment.name, settings };
    }

    enable() {
      for (const s of this.experiment.settings) {
        const off = s.needs && !this.inputs.get(s.needs).checked;
        for (const el of this.box.querySelectorAll(`[data-of="${s.name}"]`)) el.disabled = off;
      }
    }

    change() {
      this.enable();
      this.changed();
    }

    setting(s, value) {
      const id = "set-" + s.name, props = { id, "data-of": s.name, oninput: () => this.change() };
      if (s.kind === "switch") {
        const input = h("input", { ...props, type: "checkbox" });
        input.checked = value === "true";
        this.inputs.set(s.name, input);
        return h("label", { class: "setting switch", for: id }, input, s.label);
      }
      if (s.kind === "choice") {
        const input = h("select", props, s.choices.map((c) => h("option", { value: c }, c)));
        input.value = value;
        this.inputs.set(s.name, input);
        return h("div", { class: "setting" }, h("label", { for: id }, s.label), input);
      }
      const input = h("input", { ...props, type: "text", inputmode: s.kind === "number" ? "numeric" : "text", autocomplete: "off", spellcheck: "false", placeholder: s.value || (s.kind === "number" ? "any" : "off") });
      input.value = value;
      this.inputs.set(s.name, input);
      const slider = s.kind === "duration" ? this.stops(s, input) : s.name === "keepcnt" ? this.counts(s, input) : "";
      return h("div", { class: "setting" }, h("label", { for: id }, s.label), slider, input);
    }

    // stops are usual times; the field beside them takes any.
    stops(s, input) {
      const none = s.value === "" ? [""] : [], stops = [...none, ...STOPS.map(kax.clock)];
      const nearest = () => {
        const want = seconds(input.value.trim());
        if (input.value.trim() === "" || !(want > 0)) return none.length ? 0 : slider.value;
        return none.length + STOPS.reduce((best, v, i) => (Math.abs(Math.log(v / want)) < Math.abs(Math.log(STOPS[best] / want)) ? i : best), 0);
      };
      const slider = h("input", { type: "range", min: 0, max: stops.length - 1, "data-of": s.name, "aria-label": s.label,
        oninput: () => { input.value = stops[slider.value]; say(); this.change(); } });
      const say = () => slider.setAttribute("aria-valuetext", input.value || "off");
      slider.value = nearest();
      say();
      input.addEventListener("input", () => { slider.value = nearest(); say(); });
      return slider;
    }

    counts(s, input) {
      const slider = h("input", { type: "range", min: 1, max: 15, "data-of": s.name, "aria-label": s.label, oninput: () => { input.value = slider.value; this.change(); } });
      slider.value = input.value;
      input.addEventListener("input", () => { slider.value = input.value; });
      return slider;
    }
  };
})((window.kax = window.kax || {}));
