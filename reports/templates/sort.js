"use strict";
// Sorting by a click on a column's title; and what keys reach in a table comes out from beneath the column that stays. Without it the page
// reads the same.
const texts = new Intl.Collator("en", { numeric: true });
const first = /[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?/i;

// What a cell is sorted by; null where it is missing.
const key = (cell, numbers) => {
  const text = cell.dataset.value ?? cell.textContent.trim();
  if (text === "" || text.startsWith("—")) return null;
  if (!numbers) return text;
  // Of "−0.31 ± 0.14" or "[−0.45, +0.10]" the first number; a word is none.
  const number = first.exec(text.replace("−", "-"));
  return number && Number(number[0].replaceAll(",", ""));
};

const sort = (table, column) => {
  const head = table.tHead.rows[0].cells[column];
  const numbers = head.classList.contains("n");
  const was = head.getAttribute("aria-sort");
  // Numbers start with the largest, texts with A.
  const up = was ? was === "descending" : !numbers;
  for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => ({ row, key: key(row.cells[column], numbers) }));
  rows.sort(({ key: a }, { key: b }) => {
    // What is missing stays at the end, whichever way.
    if (a === null || b === null) return (a === null) - (b === null);
    const order = numbers ? a - b : texts.compare(a, b);
    return up ? order : -order;
  });
  const sorted = new DocumentFragment();
  sorted.append(...rows.map(({ row }) => row));
  body.append(sorted);
};

document.addEventListener("focusin", ({ target }) => {
  // By itself a browser leaves alone what is in sight by half.
  if (!target.matches(":focus-visible") || !target.parentElement.closest(".scroll")) return;
  target.scrollIntoView({ block: "nearest", inline: "nearest" });
});

for (const table of document.querySelectorAll("table.sortable")) {
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, head.cellIndex));
    head.append(button);
  }
}
