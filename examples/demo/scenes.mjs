// Presses the buttons of the demo in a real browser, and prints what the page says. Usage: scenes.mjs URL
// The shop that keeps its sessions in the API must pass every scenario. The other only shows what happens without it.

import { mkdirSync } from "node:fs";
import puppeteer from "puppeteer-core";

const browser = await puppeteer.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  defaultViewport: { width: 1200, height: 680 },
});
const page = await browser.newPage();
await page.goto(process.argv[2]);
let failed = 0;
const rows = await page.$$("#scenes tr");
for (const row of rows) {
  await row.$eval("button", (button) => button.click());
  await page.waitForFunction((row) => row.querySelectorAll(".good, .bad").length === 2, { timeout: 60_000 }, row);
  const [title, files, api] = await row.$$eval("th, td", (cells) => cells.map((cell) => cell.textContent));
  const isRight = (await row.$eval("td:last-child", (cell) => cell.className === "good")) && !files.includes("failed");
  console.log(`${title}\n  files  ${files}\n  api    ${api}`);
  if (!isRight) failed += 1;
}
if (process.env.SCREENSHOTS) {
  mkdirSync(process.env.SCREENSHOTS, { recursive: true });
  for (const [name, width] of Object.entries({ wide: 1200, phone: 390 })) {
    await page.setViewport({ width, height: 680 });
    // Wait for the lights to fade.
    await new Promise((done) => setTimeout(done, 1_000));
    await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true });
  }
}
await browser.close();
console.log(`${rows.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 && rows.length === 4 ? 0 : 1;
