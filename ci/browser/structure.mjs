// What the page is made of: ids, links, names, headings, and text that stays text. Looks, and changes nothing.
import { open } from "./browser.mjs";

/** Ids are unique, links lead somewhere, pictures have names, headings skip no level. */
export async function structure(page) {
  const failures = await page.evaluate(() => {
    const found = [];
    const ids = new Set();
    for (const { id } of document.querySelectorAll("[id]")) {
      if (ids.has(id)) found.push(`two elements have the id ${id}`);
      ids.add(id);
    }
    for (const link of document.querySelectorAll("a[href]")) {
      const href = link.getAttribute("href");
      if (href.startsWith("#") && !ids.has(decodeURIComponent(href.slice(1)))) found.push(`${href} leads nowhere`);
    }
    for (const attribute of ["aria-labelledby", "aria-describedby"]) {
      for (const element of document.querySelectorAll(`[${attribute}]`)) {
        for (const id of element.getAttribute(attribute).split(/\s+/)) {
          if (!ids.has(id)) found.push(`${attribute} names ${id}, which is not there`);
        }
      }
    }

    const texts = (list) => list.split(/\s+/).map((id) => document.getElementById(id)?.textContent.trim() ?? "");
    const name = (element) =>
      element.hasAttribute("aria-labelledby")
        ? texts(element.getAttribute("aria-labelledby")).join(" ").trim()
        : (element.getAttribute("aria-label") ?? element.getAttribute("alt") ?? "").trim();
    for (const picture of document.querySelectorAll("img, svg, [role=img]")) {
      if (picture.closest("[aria-hidden=true]") || picture.parentElement.closest("[role=img]")) continue;
      const what = `${picture.localName} in ${picture.closest("section, main, body").id || "the page"}`;
      if (picture.localName === "svg" && picture.getAttribute("role") !== "img") found.push(`${what} is not role=img`);
      const decoration = picture.getAttribute("alt") === "" && picture.localName === "img";
      if (!decoration && name(picture) === "") found.push(`${what} has no name`);
    }

    const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")];
    const level = (heading) => Number(heading.localName[1]);
    if (headings.filter((heading) => level(heading) === 1).length !== 1) found.push("there is not exactly one h1");
    headings.forEach((heading, i) => {
      const before = i === 0 ? 0 : level(headings[i - 1]);
      if (level(heading) > before + 1) found.push(`h${level(heading)} "${heading.textContent}" follows h${before}`);
    });
    return found;
  });
  return { failures };
}

/** A name that looks like markup is shown letter by letter, and made no element. */
export async function hostileText(page, text) {
  const failures = await page.evaluate((text) => {
    const found = [];
    if (!document.body.innerText.includes(text)) found.push(`the page does not show ${text}`);
    for (const element of document.querySelectorAll("*")) {
      const attributes = element.getAttributeNames();
      const acts = attributes.find((name) => name.startsWith("on"));
      if (acts) found.push(`<${element.localName}> has the attribute ${acts}`);
      for (const name of ["href", "src", "xlink:href"]) {
        const value = element.getAttribute(name) ?? "";
        if (!/^(#|data:|$)/.test(value)) found.push(`<${element.localName}> has ${name}="${value}"`);
      }
    }
    if (document.scripts.length > 1) found.push(`the page has ${document.scripts.length} scripts, not one`);
    return found;
  }, text);
  return { failures };
}

/** Whoever turns JavaScript off reads the same words in the same order. */
export async function sameWithoutScript(browser, file, page) {
  const words = (page) => page.evaluate(() => document.body.innerText.split(/\s+/).filter(Boolean));
  const { page: plain } = await open(browser, file, { script: false });
  const [one, other, buttons] = [await words(page), await words(plain), await plain.$$("button")];
  await plain.close();
  const failures = [];
  if (one.length === 0) failures.push("the page is empty");
  const at = Math.max(one.length, other.length);
  for (let i = 0; i < at; i++) {
    if (one[i] === other[i]) continue;
    const around = (list) => list.slice(Math.max(0, i - 4), i + 4).join(" ");
    failures.push(`word ${i} is another: "${around(one)}" with JavaScript, "${around(other)}" without`);
    break;
  }
  if (buttons.length > 0) failures.push(`without JavaScript there are ${buttons.length} buttons that do nothing`);
  return { failures, note: `${one.length} words` };
}
