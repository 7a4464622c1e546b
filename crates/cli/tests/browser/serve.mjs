// Checks the page of `da2s serve`. Exits with 1 if something is wrong.
//     node serve.mjs CHROMIUM|- FOLDER-OF-NODE-MODULES URL IMAGE NO-IMAGE [FOLDER-OF-SCREENSHOTS]
// The network has classes "0" to "9".
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const [chromium, modules, url, image, other, screenshots] = process.argv.slice(2);
const playwright = createRequire(join(resolve(modules), "here.js"))("playwright-core");
const executablePath = chromium === "-" ? undefined : chromium;
const browser = await playwright.chromium.launch({ executablePath, args: ["--no-sandbox"], timeout: 300_000 });
const problems = [];
const same = (found, expected, what) => {
  if (found !== expected) problems.push(`${what} is ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
};
for (const colorScheme of ["light", "dark"]) {
  for (const width of [360, 800, 1440]) {
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
    // A busy machine is slow, which is not what is checked.
    context.setDefaultTimeout(300_000);
    const page = await context.newPage();
    // The browser reports that it cannot show the file that is no image, and the answer 422.
    page.on("console", (message) => {
      if (!/422|ERR_/.test(message.text())) problems.push(`console ${message.type()}: ${message.text()}`);
    });
    page.on("pageerror", (error) => problems.push(`script: ${error.message}`));
    page.on("request", (request) => {
      const own = [url, "data:", "blob:"].some((start) => request.url().startsWith(start));
      if (!own) problems.push(`request: ${request.url()}`);
    });
    await page.goto(url, { waitUntil: "load" });
    await page.locator("#about", { hasText: "10 classes" }).waitFor();
    const wide = () => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    same(await wide(), false, `the page at ${width} pixels, wider than the window`);
    // By keyboard, the label's input has the focus.
    await page.keyboard.press("Tab");
    same(await page.evaluate(() => document.activeElement.id), "file", "the first focus");

    await page.setInputFiles("#file", image);
    await page.locator("#classes li").nth(2).waitFor();
    const shares = await page.locator("#classes .share").allTextContents();
    same(shares.length, 3, "the number of classes");
    same(await page.locator("#label").textContent(), await page.locator("#classes li span").first().textContent(), "the first class");
    same(shares.every((share) => /^\d+\.\d\d %$/.test(share)), true, `the shares ${shares}`);
    const widths = await page.locator("#classes .bar div").evaluateAll((bars) => bars.map((bar) => bar.clientWidth / bar.parentElement.clientWidth));
    same(widths.every((width, at) => Math.abs(100 * width - parseFloat(shares[at])) < 2), true, `the bars ${widths} of ${shares}`);
    same(await page.locator("#shown").isVisible(), true, "the image, visible");
    same(await wide(), false, `the answer at ${width} pixels, wider than the window`);
    if (screenshots) await page.screenshot({ path: join(screenshots, `serve-${colorScheme}-${width}.png`), fullPage: true });

    // What is no image, under a hostile name.
    await page.setInputFiles("#file", { name: "<img src=x onerror=alert(1)>.png", mimeType: "image/png", buffer: readFileSync(other) });
    await page.locator("#problem", { hasText: "the image" }).waitFor();
    same(await page.locator("#classes li").count(), 0, "the classes of what is no image");
    same(await page.locator("#image img").count(), 0, "elements in the name of a file");
    same(await page.locator("#shown").isVisible(), false, "what is no image, visible");
    if (screenshots) await page.screenshot({ path: join(screenshots, `serve-${colorScheme}-${width}-none.png`), fullPage: true });

    // Dropped.
    const bytes = [...readFileSync(image)];
    const data = await page.evaluateHandle((bytes) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
      return transfer;
    }, bytes);
    await page.dispatchEvent("#drop", "drop", { dataTransfer: data });
    await page.locator("#image", { hasText: "dropped.png" }).waitFor();
    await page.locator("#classes li").nth(2).waitFor();
    same((await page.locator("#classes .share").allTextContents()).join(), shares.join(), "the shares of a dropped image");
    await context.close();
  }
}
await browser.close();
for (const problem of problems) console.log(problem);
process.exit(problems.length ? 1 : 0);
