// axe-core's rules, WCAG 2.1 AA and good practice among them. What it finds serious or critical is a failure; the rest is noted.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"];

export async function axe(page) {
  await page.evaluate(source);
  const { violations, passes } = await page.evaluate(
    (tags) => window.axe.run(document, { runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] }),
    TAGS,
  );
  const grave = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const said = ({ id, impact, help, nodes }) =>
    `${impact}: ${help} (${id}), ${nodes.length} times, first ${nodes[0].target.join(" ")}: ${nodes[0].any[0]?.message ?? ""}`;
  const light = violations.filter((violation) => !grave.includes(violation)).map(({ id, impact }) => `${impact} ${id}`);
  const failures = grave.map(said);
  if (!passes.some(({ id }) => id === "color-contrast")) failures.push("axe did not look at the contrast of any text");
  return { failures, note: [`${passes.length} rules pass`, ...light].join(", ") };
}
