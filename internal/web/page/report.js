"use strict";
// The report: reads the records that stand in the page.
(function (kax) {
  document.addEventListener("DOMContentLoaded", () => {
    const by = (id) => document.getElementById(id);
    const data = by("records"), fields = by("fields");
    const { records, cut } = kax.recordsIn(data ? data.textContent : "[]");
    const model = kax.modelOf(records);
    const notice = (text) => {
      by("notice").textContent = text;
      by("notice").hidden = false;
    };
    if (cut || !model.summary) notice("The run was cut off: this shows what there was until then.");
    else if (!model.events.length) notice("Nothing happened that could be shown.");
    let table = {};
    try {
      table = JSON.parse(fields.textContent);
    } catch { /* cut off */ }
    kax.page = new kax.View(model, table);
    kax.page.follow();
  });
})((window.kax = window.kax || {}));
