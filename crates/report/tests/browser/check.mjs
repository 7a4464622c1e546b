// Opens pages in a headless Chromium as a reader would, and exits with 1 if a check fails.
//     node check.mjs CHROMIUM|- FOLDER-OF-NODE-MODULES SCREENSHOTS|- PAGE…
// ("-": the Chromium downloaded by playwright.) A page must log nothing to the console, request
// nothing, fit widths of 360, 800 and 1400 pixels, work with the keyboard, switch its theme, and
// draw every epoch if it has a slider.
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [chromium, modules, screenshots, ...pages] = process.argv.slice(2);
const playwright = createRequire(join(resolve(modules), "here.js"))("playwright-core");
const WIDTHS = [360, 800, 1400];

const executablePath = chromium === "-" ? undefined : chromium;
const browser = await playwright.chromium.launch({ executablePath, args: ["--no-sandbox"], timeout: 300_000 });
let wrong = 0;
for (const path of pages) {
  const problems = [];
  const expect = (holds, what) => { if (!holds) problems.push(what); };
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, colorScheme: "light" });
  // Generous, because the machine may be busy.
  context.setDefaultTimeout(300_000);
  const page = await context.newPage();
  const url = pathToFileURL(resolve(path)).href;
  page.on("console", (message) => problems.push(`console ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`script: ${error.message}`));
  page.on("request", (request) => {
    if (request.url() !== url && !request.url().startsWith("data:")) problems.push(`request: ${request.url()}`);
  });
  await page.goto(url, { waitUntil: "load" });

  const broken = await page.evaluate(() => [...document.images].filter((image) => !image.naturalWidth).length);
  expect(broken === 0, `${broken} images do not show`);
  const notNumbers = () => page.evaluate(() =>
    [...document.querySelectorAll("svg *")].flatMap((node) => [...node.attributes])
      .filter(({ name, value }) => name !== "aria-label" && /NaN|undefined|Infinity/.test(value)).length);
  expect(await notNumbers() === 0, "a picture has NaN coordinates");

  await page.keyboard.press("Tab");
  expect(await page.evaluate(() => document.activeElement.className === "skip"), "the first tab stop does not skip to the report");

  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await ground();
  await page.click("button.theme");
  const after = await ground();
  expect(before !== after, "the theme button changes nothing");
  await page.click("button.theme");
  expect(await ground() === before, "the theme button does not switch back");

  let pictures = 0;
  if (await page.locator(".film-bar").isVisible()) {
    const slider = page.locator("#epoch");
    const state = () => page.evaluate(() => ({
      said: document.querySelector(".film-bar output").textContent,
      drawn: [...document.querySelectorAll(".cell path.edge")].map((line) => line.getAttribute("stroke-width")).join(" "),
    }));
    const max = Number(await slider.getAttribute("max"));
    const last = await state();
    await slider.focus();
    await page.keyboard.press("Home");
    const first = await state();
    expect(first.said !== last.said, `the slider says ${first.said} at both ends`);
    expect(first.drawn !== last.drawn, "the cells look the same at both ends of the slider");
    await page.keyboard.press("ArrowRight");
    expect((await state()).said !== first.said, "an arrow key does not move the slider");
    for (let picture = 0; picture <= max; picture += Math.max(1, Math.floor(max / 7))) {
      await page.evaluate((value) => {
        const slider = document.getElementById("epoch");
        slider.value = value;
        slider.dispatchEvent(new Event("input", { bubbles: true }));
      }, picture);
      expect(await notNumbers() === 0, `picture ${picture} has NaN coordinates`);
      pictures += 1;
    }
    await slider.focus();
    await page.keyboard.press("End");
    const end = await state();
    expect(end.said === last.said && end.drawn === last.drawn, "the end of the slider differs from the initial page");
    await page.click(".play");
    await page.waitForFunction((said) => document.querySelector(".film-bar output").textContent !== said, last.said);
    await page.waitForFunction((said) => document.querySelector(".film-bar output").textContent === said, last.said);
  }
  const chart = page.locator(".chart:not([data-film]) > svg").first();
  if (await chart.count()) {
    await chart.hover();
    expect(await page.evaluate(() =>
      [...document.querySelectorAll(".chart:not([data-film]) line.now")].some((line) => line.style.visibility === "visible")),
    "no marker under the mouse over a chart");
  }

  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide <= width, `at ${width} pixels the page is ${wide} wide`);
    if (screenshots !== "-") {
      const name = `${basename(dirname(resolve(path)))}-${basename(path, ".html")}-${width}.png`;
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: join(screenshots, name), fullPage: true });
    }
  }
  await context.close();
  wrong += problems.length;
  console.log(`${problems.length ? "WRONG" : "fine"}  ${path}  ${pictures} pictures of the slider`);
  for (const problem of problems) console.log(`       ${problem}`);
}
await browser.close();
process.exit(wrong ? 1 : 0);
