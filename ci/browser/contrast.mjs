// Contrast of every text with what is painted beneath it, text in SVG too, which axe-core leaves out. WCAG 2.1, 1.4.3: 4.5 to 1, large
// text 3 to 1; formulas of relative luminance and contrast ratio as it has them.

/** Every visible text of the page stands out from its background. */
export async function contrast(page) {
  return page.evaluate(() => {
    const parse = (text) => {
      if (text === "transparent" || text === "none") return [0, 0, 0, 0];
      const rgb = text.match(/^rgba?\(([^)]*)\)$/);
      if (rgb === null) throw new Error(`a colour that this check cannot read: ${text}`);
      const [r, g, b, a] = rgb[1].split(/[\s,/]+/).map(Number);
      return [r, g, b, a ?? 1];
    };
    const over = ([r, g, b, a], [R, G, B, A]) => {
      const alpha = a + A * (1 - a);
      const mix = (x, y) => (alpha === 0 ? 0 : (x * a + y * A * (1 - a)) / alpha);
      return [mix(r, R), mix(g, G), mix(b, B), alpha];
    };
    const luminance = ([r, g, b]) => {
      const line = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
      return 0.2126 * line(r) + 0.7152 * line(g) + 0.0722 * line(b);
    };
    const ratio = (a, b) => {
      const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
      return (high + 0.05) / (low + 0.05);
    };
    const faded = (element) => {
      let alpha = 1;
      for (let at = element; at; at = at.parentElement) alpha *= Number(getComputedStyle(at).opacity);
      return alpha;
    };
    const withAlpha = ([r, g, b, a], alpha) => [r, g, b, a * alpha];

    // What HTML paints: the backgrounds of the element and of those it lies in.
    const paper = (element) => {
      let below = [0, 0, 0, 0];
      for (let at = element; at && below[3] < 1; at = at.parentElement) {
        below = over(below, withAlpha(parse(getComputedStyle(at).backgroundColor), faded(at)));
      }
      return over(below, [255, 255, 255, 1]);
    };
    // What SVG paints: filled shapes at the middle of the text, from the top, then the paper. A picture is of any colour.
    const sheet = (text) => {
      text.scrollIntoView({ block: "center", inline: "center" });
      const box = text.getBoundingClientRect();
      const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
      let below = [0, 0, 0, 0];
      const stack = document.elementsFromPoint(x, y);
      for (const shape of stack.slice(stack.indexOf(text) + 1)) {
        if (below[3] >= 1) break;
        if (shape.localName === "image") return null;
        if (!(shape instanceof SVGGeometryElement)) continue;
        const at = new DOMPoint(x, y).matrixTransform(shape.getScreenCTM().inverse());
        if (!shape.isPointInFill(at)) continue;
        const style = getComputedStyle(shape);
        if (style.fill.startsWith("url(")) return null;
        below = over(below, withAlpha(parse(style.fill), Number(style.fillOpacity) * faded(shape)));
      }
      return over(below, paper(text.closest("svg")));
    };

    const failures = new Map();
    let [texts, drawn] = [0, 0];
    const judge = (element, colour, below, what) => {
      const style = getComputedStyle(element);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const seen = ratio(over(withAlpha(colour, faded(element)), below), below);
      if (seen >= (large ? 3 : 4.5)) return;
      const where = element.closest("[id]")?.id ?? "the page";
      const key = `${what} of contrast ${seen.toFixed(2)} in ${where}`;
      if (!failures.has(key)) failures.set(key, `${key}: "${element.textContent.trim().slice(0, 40)}"`);
    };

    const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const seen = new Set();
    while (nodes.nextNode()) {
      const element = nodes.currentNode.parentElement;
      if (nodes.currentNode.data.trim() === "" || seen.has(element)) continue;
      seen.add(element);
      if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
      if (element.closest(".unseen, .skip, script, style, title, desc")) continue;
      const style = getComputedStyle(element);
      if (!element.closest("svg")) {
        texts++;
        judge(element, parse(style.color), paper(element), "text");
        continue;
      }
      drawn++;
      const text = element.closest("text");
      // A halo is the background, wherever the text stands.
      const halo = style.stroke !== "none" && parseFloat(style.strokeWidth) >= 2 && style.paintOrder.startsWith("stroke");
      const below = halo ? parse(style.stroke) : sheet(text);
      if (below === null) failures.set(text, `text on a picture or a pattern without a halo: "${text.textContent.trim()}"`);
      else judge(text, withAlpha(parse(style.fill), Number(style.fillOpacity)), below, "text in a figure");
    }
    scrollTo(0, 0);
    return { failures: [...failures.values()], note: `${texts} texts, ${drawn} in figures` };
  });
}
