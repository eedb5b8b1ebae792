"use strict";
// A run's records as they arrive, and the model made of them.
(function (kax) {
  // A model is made anew of all records, so no more often than takes a part of the
  // time.
  const EVERY = 100, SHARE = 5;

  kax.Feed = class {
    // on has what the page does: change(model), end(state), and lost() when nothing
    // comes any more; the browser itself asks again.
    constructor(id, on) {
      Object.assign(this, { id, on, records: [], got: 0, next: 0, model: kax.modelOf([]), fields: {}, state: null });
      this.shows = () => (document.hidden ? this.pause() : this.open());
      document.addEventListener("visibilitychange", this.shows);
      this.open();
    }

    // open takes what comes after what has come. A tab that nobody sees does without:
    // a browser has six connections to a server, for all tabs.
    open() {
      if (this.source || this.state || this.closed) return;
      this.source = new EventSource("runs/" + this.id + "/events?after=" + this.got);
      this.source.onmessage = (ev) => {
        const records = JSON.parse(ev.data);
        this.got = Number(ev.lastEventId);
        for (const record of records) this.records.push(record);
        this.later();
      };
      this.source.onerror = () => this.on.lost();
      this.source.addEventListener("end", (ev) => {
        this.state = JSON.parse(ev.data);
        this.pause();
        this.make();
        this.on.end(this.state);
        this.take();
      });
    }

    pause() {
      if (this.source) this.source.close();
      this.source = null;
    }

    close() {
      this.closed = true;
      this.pause();
      document.removeEventListener("visibilitychange", this.shows);
    }

    later() {
      if (this.waiting) return;
      this.waiting = true;
      setTimeout(() => requestAnimationFrame(() => {
        this.waiting = false;
        if (!this.state && !this.closed) this.make();
      }), Math.max(0, this.next - performance.now()));
    }

    make() {
      const began = performance.now();
      this.model = kax.modelOf(this.records);
      this.on.change(this.model, this.fields, Boolean(this.state));
      this.took = performance.now() - began;
      this.next = performance.now() + Math.max(EVERY, SHARE * this.took);
    }

    // take takes the fields of the packets, which are made at the end.
    async take() {
      const answer = await fetch("runs/" + this.id + "/fields");
      if (!answer.ok || this.closed) return;
      this.fields = await answer.json();
      this.on.change(this.model, this.fields, true);
    }
  };
})((window.kax = window.kax || {}));
