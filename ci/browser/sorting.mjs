// Sorting: every column of every sortable table, by click and by key. Reads the order from the text that is shown, not from the
// attributes that the page sorts by.
import { unfold } from "./browser.mjs";

/** In the page: the shown values of a column, in order; a number, a text, or null where it is missing. */
function installReader() {
  window.shownColumn = (table, column) => {
    const numbers = table.tHead.rows[0].cells[column].classList.contains("n");
    return [...table.tBodies[0].rows].map((row) => {
      const cell = row.cells[column];
      const text = cell.innerText.trim();
      if (text === "" || text.startsWith("—")) return null;
      if (!numbers) return text;
      // A quantity of another unit ("1.4 GiB", "2 min 11 s") is compared by what it stands for.
      if (/[a-z]/i.test(text.split("\n")[0].replace(/\d[eE][-+]?\d/g, ""))) return Number(cell.dataset.value ?? NaN);
      const number = text.replace("−", "-").match(/-?\d[\d,]*(\.\d+)?(e[-+]?\d+)?/i);
      return number === null ? NaN : Number(number[0].replaceAll(",", ""));
    });
  };
  window.disorder = (values, up) => {
    const present = values.filter((value) => value !== null);
    if (values.slice(0, present.length).includes(null)) return "a missing value is not last";
    if (present.some(Number.isNaN)) return "a value is no number";
    const order = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
    for (let i = 1; i < present.length; i++) {
      const step = order(present[i - 1], present[i]);
      if (up ? step > 0 : step < 0) return `${present[i - 1]} stands before ${present[i]}`;
    }
    return null;
  };
}

const name = (table, column) => `table ${table + 1}, column ${column + 1}`;

/** A first click sorts numbers down and texts up, a second one the other way; `aria-sort` says so, of one column only. */
export async function sorting(page) {
  await page.evaluate(installReader);
  await unfold(page);
  const tables = await page.$$("table.sortable");
  const failures = [];
  let columns = 0;
  if (tables.length < 2) failures.push(`the page has ${tables.length} sortable tables, not two or more`);
  for (const [t, table] of tables.entries()) {
    const heads = await table.$$("thead th");
    const rows = await table.evaluate((table) => [...table.tBodies[0].rows].map((row) => row.innerText).sort());
    for (const [column, head] of heads.entries()) {
      columns++;
      const button = await head.$("button");
      if (button === null) {
        failures.push(`${name(t, column)}: the title is no button`);
        continue;
      }
      const numbers = await head.evaluate((head) => head.classList.contains("n"));
      for (const up of numbers ? [false, true] : [true, false]) {
        // In the middle, where no column that stays in sight covers it.
        await button.evaluate((button) => button.scrollIntoView({ block: "center", inline: "center", behavior: "instant" }));
        await button.click();
        const { said, sorted, wrong } = await table.evaluate(
          (table, column, up) => ({
            said: table.tHead.rows[0].cells[column].getAttribute("aria-sort"),
            sorted: table.querySelectorAll("[aria-sort]").length,
            wrong: window.disorder(window.shownColumn(table, column), up),
          }),
          column,
          up,
        );
        const wanted = up ? "ascending" : "descending";
        if (said !== wanted) failures.push(`${name(t, column)}: aria-sort is ${said}, not ${wanted}`);
        if (sorted !== 1) failures.push(`${name(t, column)}: ${sorted} columns have aria-sort`);
        if (wrong !== null) failures.push(`${name(t, column)}, ${wanted}: ${wrong}`);
      }
    }
    const after = await table.evaluate((table) => [...table.tBodies[0].rows].map((row) => row.innerText).sort());
    if (JSON.stringify(rows) !== JSON.stringify(after)) failures.push(`table ${t + 1}: sorting changed its rows`);
  }
  return { failures, note: `${tables.length} tables, ${columns} columns` };
}

/** Tab reaches the last title of the main table, in sight, and Enter sorts by it. */
export async function keyboard(page) {
  await page.reload({ waitUntil: "load" });
  await page.evaluate(installReader);
  const failures = [];
  const last = await page.$("#results table.sortable thead th:last-child");
  const there = () => last.evaluate((last) => last.contains(document.activeElement));
  let presses = 0;
  while (!(await there()) && presses < 200) {
    await page.keyboard.press("Tab");
    presses++;
  }
  if (!(await there())) return { failures: [`after ${presses} Tabs the last title of the main table is not reached`] };
  const seen = await last.evaluate((last) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
    const { left, right } = document.activeElement.getBoundingClientRect();
    return { outlined: outlineStyle !== "none" && outlineWidth !== "0px", inside: left >= 0 && right <= innerWidth };
  });
  if (!seen.outlined) failures.push("the focused title has no outline");
  if (!seen.inside) failures.push("the focused title is out of sight");
  for (const up of [false, true]) {
    await page.keyboard.press(up ? "Space" : "Enter");
    const wrong = await last.evaluate(
      (last, up) => window.disorder(window.shownColumn(last.closest("table"), last.cellIndex), up),
      up,
    );
    const said = await last.evaluate((last) => last.getAttribute("aria-sort"));
    if (wrong !== null || said !== (up ? "ascending" : "descending")) failures.push(`${up ? "Space" : "Enter"}: ${wrong ?? said}`);
    if (!(await there())) failures.push("sorting took the focus away");
  }
  return { failures, note: `${presses} Tabs` };
}

/** Where the main table scrolls, each title that the keyboard comes back to is in sight, not beneath the column that stays. */
export async function titlesInSight(page) {
  const failures = [];
  const buttons = await page.$$("#results table.sortable thead button");
  await buttons.at(-1).focus();
  for (const button of buttons.toReversed()) {
    const seen = await button.evaluate((button) => {
      if (document.activeElement !== button) return "is not next";
      const { x, y, width, height } = button.getBoundingClientRect();
      // Beside the letters a click may meet the cell, which is as good.
      const tops = [x + 2, x + width / 2, x + width - 2].map((at) => document.elementFromPoint(at, y + height / 2));
      const top = tops.find((top) => !button.parentElement.contains(top));
      return top === undefined ? null : `lies beneath ${top?.localName} "${top?.textContent.trim()}"`;
    });
    if (seen !== null) failures.push(`title ${await button.evaluate((button) => button.textContent.trim())} ${seen}`);
    await page.keyboard.down("Shift");
    await page.keyboard.press("Tab");
    await page.keyboard.up("Shift");
  }
  if (buttons.length === 0) failures.push("the main table has no titles to press");
  return { failures, note: `${buttons.length} titles` };
}

/** The main table with a thousand rows: sorted rightly, and in which time, that of the layout after the plus. A slow one is no failure. */
export async function thousandRows(page) {
  await page.reload({ waitUntil: "load" });
  await page.evaluate(installReader);
  const { wrong, numbers, texts } = await page.evaluate(() => {
    const table = document.querySelector("#results table.sortable");
    const body = table.tBodies[0];
    const last = table.tHead.rows[0].cells.length - 1;
    const model = body.rows[0];
    // A permutation of 1,000 numbers by a prime.
    const rows = Array.from({ length: 1000 }, (_, i) => {
      const row = model.cloneNode(true);
      const value = ((i + 1) * 577) % 1009;
      row.cells[0].textContent = `system ${value}`;
      row.cells[last].textContent = String(value);
      row.cells[last].dataset.value = String(value);
      return row;
    });
    body.replaceChildren(...rows);
    const timed = (column) => {
      const button = table.tHead.rows[0].cells[column].querySelector("button");
      void table.offsetHeight;
      const began = performance.now();
      button.click();
      const sorted = performance.now();
      void table.offsetHeight;
      return `${Math.round(sorted - began)} + ${Math.round(performance.now() - sorted)} ms`;
    };
    const texts = timed(0);
    const numbers = timed(last);
    return { texts, numbers, wrong: window.disorder(window.shownColumn(table, last), false) };
  });
  return { failures: wrong === null ? [] : [wrong], note: `numbers ${numbers}, texts ${texts}` };
}
