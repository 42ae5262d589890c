// Pictures of a page, for eyes. Checks nothing.
import { dress, resize } from "./browser.mjs";

/** Writes `NAME-light-1300.png` and so on, and `NAME.pdf`; `stem` is the path without these ends. */
export async function shots(page, stem, schemes, widths) {
  for (const scheme of schemes) {
    await dress(page, scheme);
    for (const width of widths) {
      await resize(page, width);
      await page.screenshot({ path: `${stem}-${scheme}-${width}.png`, fullPage: true });
    }
  }
  await dress(page, "light");
  await resize(page, widths[0]);
  await page.pdf({ path: `${stem}.pdf`, preferCSSPageSize: true, printBackground: true });
}
