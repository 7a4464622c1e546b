// Checks the page of `da2s watch --http` while its run grows. Exits with 1 if an update loses the
// reader's place.
//     node watch.mjs CHROMIUM|- FOLDER-OF-NODE-MODULES URL RUN SOURCE
// RUN has epochs 0 and 1 of the search in SOURCE, a run of two epochs; this script adds the second,
// then the genotype.
import { appendFileSync, copyFileSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [chromium, modules, url, run, source] = process.argv.slice(2);
const playwright = createRequire(join(resolve(modules), "here.js"))("playwright-core");
const executablePath = chromium === "-" ? undefined : chromium;
const browser = await playwright.chromium.launch({ executablePath, args: ["--no-sandbox"], timeout: 300_000 });
const problems = [];
const same = (found, expected, what) => {
  if (found !== expected) problems.push(`${what} is ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
};
const context = await browser.newContext({ viewport: { width: 1000, height: 700 }, colorScheme: "light" });
// A busy machine is slow, which is not what is checked.
context.setDefaultTimeout(300_000);
const page = await context.newPage();
page.on("console", (message) => problems.push(`console ${message.type()}: ${message.text()}`));
page.on("pageerror", (error) => problems.push(`script: ${error.message}`));
page.on("request", (request) => {
  if (!request.url().startsWith(url) && !request.url().startsWith("data:")) problems.push(`request: ${request.url()}`);
});
await page.goto(url, { waitUntil: "load" });
const report = page.frame({ url: /report\.html$/ });
const state = () => report.evaluate(() => ({
  epoch: document.querySelector(".film-bar output").textContent,
  max: document.getElementById("epoch").max,
  dark: document.documentElement.dataset.theme,
  open: [...document.querySelectorAll("details")].find((details) => details.textContent.includes("config.toml")).open,
  focus: document.activeElement.id,
  top: Math.round(document.getElementById("curves").getBoundingClientRect().top),
}));
/// Until the slider has another end, and the reader is back where they were.
const grown = async (max) => {
  await report.waitForFunction((max) => document.readyState === "complete" && document.getElementById("epoch")?.max === max, max);
  await page.waitForTimeout(100);
};

await report.locator("#epoch").waitFor();
await report.locator("button.theme").click();
await report.locator("summary", { hasText: "config.toml" }).click();
await report.locator("#epoch").focus();
await page.keyboard.press("Home");
await report.evaluate(() => scrollBy({ top: document.getElementById("curves").getBoundingClientRect().top + 50, behavior: "instant" }));
const before = await state();
same(before.epoch.split(" of ")[0], "epoch 0", "the slider at its beginning");
same(before.top, -50, "the place before the update");
same(await page.evaluate(() => getComputedStyle(document.body).colorScheme), "dark", "the scheme of the frame");

const line = readFileSync(join(source, "search/arch.jsonl"), "utf8").split("\n")[2];
appendFileSync(join(run, "search/arch.jsonl"), `${line}\n`);
await grown("2");
const after = await state();
for (const key of ["epoch", "dark", "open", "focus", "top"]) same(after[key], before[key], `${key} after an update`);

// Somebody at the end follows it.
await page.keyboard.press("End");
same((await state()).epoch.split(" of ")[0], "epoch 2", "the slider at its end");
copyFileSync(join(source, "genotype.json"), join(run, "genotype.json"));
await grown("3");
const end = await state();
same(end.epoch, "discretized", "the slider that was at the end");
for (const key of ["dark", "open", "focus", "top"]) same(end[key], before[key], `${key} after the last update`);

await browser.close();
for (const problem of problems) console.log(problem);
process.exit(problems.length ? 1 : 0);
