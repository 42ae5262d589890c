// The order of the checks: each page is opened in Chromium, looked at and used. Prints one JSON line for each page and check. The
// browser is in browser.mjs, what is checked in the files beside it; nothing here knows the report.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import process from "node:process";

const HELP = `usage: node check.mjs [--shots DIR] [--hostile TEXT] REPORT.html...

  --shots DIR     also write pictures of each page, light and dark, wide and narrow, and its print
  --hostile TEXT  a name that looks like markup; each page must show it as text

One JSON line for each page and check: {page, check, ok, failures, note}. Ends with 0 when all hold, 1 when one does not, 2 when called wrongly,
5 when packages or Chromium are missing.`;

const MISSING = 5;

function stop(code, message) {
  console.error(message);
  process.exit(code);
}

function read(given) {
  const told = { shots: null, hostile: null, pages: [] };
  for (let i = 0; i < given.length; i++) {
    if (given[i] === "--shots" || given[i] === "--hostile") {
      if (i + 1 === given.length) stop(2, `${given[i]} needs a value\n\n${HELP}`);
      told[given[i].slice(2)] = given[++i];
    } else if (given[i].startsWith("-")) stop(2, `unknown: ${given[i]}\n\n${HELP}`);
    else told.pages.push(path.resolve(given[i]));
  }
  if (told.pages.length === 0) stop(2, `no page to check\n\n${HELP}`);
  return told;
}

/** The checks, or an end that says what is missing: they import packages that may not be installed. */
async function load() {
  const files = ["browser", "structure", "sorting", "layout", "contrast", "axe", "shots"];
  try {
    const parts = await Promise.all(files.map((name) => import(`./${name}.mjs`)));
    return Object.assign({}, ...parts);
  } catch (error) {
    const absent = ["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND"].includes(error.code);
    // A file of ours that is missing is a defect, not a set-up that was left out.
    if (!absent || !/'(puppeteer-core|axe-core\b)/.test(error.message)) throw error;
    return stop(MISSING, "puppeteer-core or axe-core is not installed: run ci/browser/setup.sh");
  }
}

const WIDTHS = [1300, 390, 320];
const SCHEMES = ["light", "dark"];

async function main() {
  const told = read(process.argv.slice(2));
  const parts = await load();
  const chromium = parts.find();
  if (chromium === null) stop(MISSING, "no Chromium: install one, or name it in CHROMIUM");
  const browser = await parts.launch(chromium);
  let held = true;
  try {
    for (const file of told.pages) {
      const say = (check, { failures, note }) => {
        held &&= failures.length === 0;
        console.log(JSON.stringify({ page: file, check, ok: failures.length === 0, failures, note }));
      };
      const { page, complaints } = await parts.open(browser, file);

      // ---- as it comes
      say("structure", await parts.structure(page));
      if (told.hostile !== null) say("hostile text", await parts.hostileText(page, told.hostile));
      say("without JavaScript", await parts.sameWithoutScript(browser, file, page));

      // ---- at each width
      for (const width of WIDTHS) {
        await parts.resize(page, width);
        await parts.unfold(page);
        say(`width ${width}`, await parts.layout(page));
      }
      await parts.resize(page, WIDTHS[0]);
      say("print", await parts.print(page));

      // ---- for eyes and screen readers
      for (const scheme of SCHEMES) {
        await parts.dress(page, scheme);
        for (const width of WIDTHS.slice(0, 2)) {
          await parts.resize(page, width);
          await parts.unfold(page);
          say(`axe ${scheme} ${width}`, await parts.axe(page));
        }
        say(`contrast ${scheme}`, await parts.contrast(page));
      }

      // ---- pictures, before sorting leaves its traces
      if (told.shots !== null) {
        await mkdir(told.shots, { recursive: true });
        await parts.shots(page, path.join(told.shots, path.basename(path.dirname(file))), SCHEMES, WIDTHS.slice(0, 2));
      }

      // ---- used
      await parts.dress(page, SCHEMES[0]);
      await parts.resize(page, WIDTHS[0]);
      say("sorting", await parts.sorting(page));
      say("sorting by keyboard", await parts.keyboard(page));
      await parts.resize(page, WIDTHS[1]);
      say("titles in sight", await parts.titlesInSight(page));
      await parts.resize(page, WIDTHS[0]);
      say("sorting 1,000 rows", await parts.thousandRows(page));

      // ---- and what the browser said of all this
      say("silence", { failures: [...new Set(complaints)] });
      await page.close();
    }
  } finally {
    await browser.close();
  }
  process.exitCode = held ? 0 : 1;
}

await main();
