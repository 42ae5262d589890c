// Chromium: where it is, how it starts, and a page whose every complaint is kept. Knows no check.
import { accessSync, constants } from "node:fs";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

/** The file of a Chromium: $CHROMIUM, or the first of the usual names in PATH; null when there is none. */
export function find() {
  const runs = (file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  };
  // A name that is given but leads nowhere is no reason to take another browser.
  if (process.env.CHROMIUM) return runs(process.env.CHROMIUM) ? process.env.CHROMIUM : null;
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const places = names.flatMap((name) => folders.map((folder) => path.join(folder, name)));
  return places.find(runs) ?? null;
}

/** A browser without a window. The pages are ours and load nothing, so that it may run without a sandbox, as in containers it must. */
export function launch(executablePath) {
  const args = ["--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb"];
  return puppeteer.launch({ executablePath, args });
}

/** An open page, and the list in which its errors, warnings, dialogs and requests appear. */
export async function open(browser, file, { script = true } = {}) {
  const url = pathToFileURL(file).href;
  const page = await browser.newPage();
  const complaints = [];
  page.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) complaints.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`page error: ${error.message}`));
  page.on("dialog", async (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  page.on("request", (request) => {
    const wanted = request.url().split("#")[0] === url || request.url().startsWith("data:");
    if (!wanted) complaints.push(`request: ${request.url()}`);
  });
  await page.setJavaScriptEnabled(script);
  await resize(page, 1300);
  await dress(page, "light");
  await page.goto(url, { waitUntil: "load" });
  return { page, complaints };
}

/** Sets the width of the window in CSS pixels; narrow ones are phones'. */
export async function resize(page, width) {
  await page.setViewport({ width, height: 900, isMobile: width < 600, hasTouch: width < 600, deviceScaleFactor: 1 });
}

/** Opens everything that is folded, for a check that must see it; loading the page again folds it. */
export function unfold(page) {
  return page.$$eval("details", (folds) => folds.forEach((fold) => (fold.open = true)));
}

/** Asks for the light or the dark page, without motion. */
export async function dress(page, scheme) {
  await page.emulateMediaFeatures([
    { name: "prefers-color-scheme", value: scheme },
    { name: "prefers-reduced-motion", value: "reduce" },
  ]);
}
