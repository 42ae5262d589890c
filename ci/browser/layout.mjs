// Room: what is wider than the window scrolls in a region of its own, which keys reach; on paper nothing is cut off.

/** The document never scrolls sideways, nothing sticks out of it, and what scrolls can be reached and has a name; a
 * table's row titles stay. */
export function layout(page) {
  return page.evaluate(() => {
    const found = [];
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) found.push(`the document is ${root.scrollWidth} px wide in ${root.clientWidth} px`);
    const what = (element) => `<${element.localName} class="${element.getAttribute("class") ?? ""}"> in ${element.closest("[id]")?.id}`;
    const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
    let scrolling = 0;
    for (const element of document.body.querySelectorAll("*")) {
      if (element.closest("svg") && element.localName !== "svg") continue;
      if (!element.checkVisibility({ visibilityProperty: true })) continue;
      if (element.closest(".skip, .unseen")) continue;
      if (scrolls(element) && element.scrollWidth > element.clientWidth + 1) {
        scrolling++;
        const named = element.hasAttribute("aria-label") || element.hasAttribute("aria-labelledby");
        if (element.tabIndex < 0 || element.getAttribute("role") !== "region" || !named) {
          found.push(`${what(element)} scrolls and is no region with a name that keys reach`);
        }
      }
      const row = element.querySelector(":scope > table > tbody > tr > th:first-child");
      if (scrolls(element) && row) {
        element.scrollLeft = element.scrollWidth;
        const gone = element.getBoundingClientRect().left - row.getBoundingClientRect().left;
        if (gone > 1) found.push(`the first column of ${what(element)} scrolls away`);
        element.scrollLeft = 0;
      }
      let parent = element.parentElement;
      while (parent && !scrolls(parent)) parent = parent.parentElement;
      const { right, left } = element.getBoundingClientRect();
      if (!parent && (right > root.clientWidth + 1 || left < -1)) found.push(`${what(element)} reaches from ${left} to ${right} px`);
    }
    return { failures: found, note: `${scrolling} regions scroll` };
  });
}

/** On A4 across, with the margins of the style sheet, no table and no figure is wider than the page. */
export async function print(page) {
  const WIDTH = Math.floor(((297 - 2 * 14) / 25.4) * 96);
  await page.emulateMediaType("print");
  await page.setViewport({ width: WIDTH, height: 700 });
  const failures = await page.evaluate(() => {
    const found = [];
    const wide = document.documentElement.clientWidth;
    for (const element of document.querySelectorAll("table, figure svg, figure img, pre")) {
      if (!element.checkVisibility()) continue;
      const { right } = element.getBoundingClientRect();
      const where = element.closest("section").id;
      if (right > wide + 1) found.push(`a ${element.localName} of ${where} reaches to ${Math.round(right)} px of ${wide}`);
      const cut = element.parentElement.closest(".scroll");
      if (cut && getComputedStyle(cut).overflowX !== "visible") found.push(`a ${element.localName} of ${where} is cut off`);
    }
    for (const fold of document.querySelectorAll("details:not([open])")) {
      const inside = [...fold.children].find((child) => child.localName !== "summary");
      if (inside && !inside.checkVisibility()) found.push(`details of ${fold.closest("section").id} stay folded`);
    }
    return found;
  });
  await page.emulateMediaType(null);
  return { failures };
}
