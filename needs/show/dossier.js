"use strict";
// Saves answers as rows of signals, in a file that the browser writes. Nothing is sent.
(function () {
  const form = document.getElementById("answers"), said = document.getElementById("said");
  const valueOf = (row, field) => { const found = row.querySelector('[data-field="' + field + '"]'); return found ? found.value.trim() : ""; };
  const cell = (text) => (/[;"\r\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text);

  function lineOf(row, day, author, until) {
    const opinion = valueOf(row, "sens"), open = row.dataset.open;
    const [kind, territory] = open ? valueOf(row, "place").split(" ") : [row.dataset.kind, row.dataset.territory];
    const nomenclature = open ? valueOf(row, "nomenclature") : row.dataset.nomenclature;
    const code = open ? valueOf(row, "code").toUpperCase() : row.dataset.code;
    if (opinion === "" || code === "") return null;
    const comment = valueOf(row, "comment").replace(/\s+/g, " ");
    return [day, kind, territory, nomenclature, code, opinion, valueOf(row, "places"), author, comment, until].map(cell).join(";");
  }

  function linesOf() {
    const [day, author, until] = ["day", "author", "until"].map((name) => document.getElementById(name).value);
    if (!day) return [];
    return [...form.querySelectorAll("tbody tr")].map((row) => lineOf(row, day, author, until)).filter((line) => line !== null);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const lines = linesOf();
    if (!lines.length) { said.textContent = form.dataset.missing; return; }
    const text = [form.dataset.headers, ...lines].join("\n") + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    link.download = form.dataset.file;
    link.click();
    URL.revokeObjectURL(link.href);
    said.textContent = form.dataset.saved.replace("#", String(lines.length));
    form.dataset.last = text;
  });
})();
