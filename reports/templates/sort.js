"use strict";
// Sorting by a click on a column's title. Without it the page reads the same.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.tHead.querySelectorAll("th").forEach((th, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...th.childNodes);
    th.append(button);
    button.addEventListener("click", () => {
      const numbers = th.classList.contains("n");
      const was = th.getAttribute("aria-sort");
      // Numbers start with the largest, texts with A.
      const up = was ? was === "descending" : !numbers;
      for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
      th.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.value ?? (numbers ? "" : row.cells[column].textContent.trim());
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        // What is missing stays at the end.
        if (x === "" || y === "") return (x === "") - (y === "");
        const order = numbers ? x - y : x.localeCompare(y, "en", { numeric: true });
        return up ? order : -order;
      };
      body.append(...[...body.rows].sort(compare));
    });
  });
}
