// Plays the scenes of the demo in a real browser, and prints what each shop does. Usage: scenes.mjs FOLDER
// A shop with its sessions in the API must do right in all of them; those with files show what happens otherwise.

import { mkdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import puppeteer from "puppeteer-core";

const folder = process.argv[2];
const screenshots = process.env.SCREENSHOTS;
// Milliseconds that a request waits at least for the lock of a slow one: that sleeps for 2 s, of which at most 0.5 s are over.
const LOCKED = 1_500;
const browser = await puppeteer.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  defaultViewport: { width: 900, height: 620 },
});

/** A browser window with cookies of its own. */
class Window {
  static async open(url, agent = "Firefox on Linux") {
    const context = await browser.createBrowserContext();
    return new Window(context, await Window.#page(context, url, agent), url, agent);
  }

  static async #page(context, url, agent) {
    const page = await context.newPage();
    await page.setUserAgent({ userAgent: agent });
    await page.goto(url);
    return page;
  }

  constructor(context, page, url, agent) {
    Object.assign(this, { context, page, url, agent });
  }

  /** Opens another tab, with the same cookies. */
  async tab() {
    return new Window(this.context, await Window.#page(this.context, this.url, this.agent), this.url, this.agent);
  }

  async press(label) {
    const button = await this.page.waitForSelector(`xpath/.//button[text()="${label}"]`, { timeout: 5_000 });
    // Not a click of the mouse: only the tab in front takes those.
    await Promise.all([this.page.waitForNavigation(), button.evaluate((element) => element.click())]);
    return this;
  }

  async reload() {
    await this.page.goto(this.url);
    return this;
  }

  async texts(selector) {
    return this.page.$$eval(selector, (found) => found.map((element) => element.textContent.trim()));
  }

  /** The basket, as "1 × apple, 1 × pear". */
  async basket() {
    return (await this.texts("#basket li")).sort().join(", ");
  }

  async user() {
    return (await this.texts("#user"))[0] ?? null;
  }

  async server() {
    return (await this.texts("#server b"))[0];
  }

  async shoot(name) {
    if (screenshots) {
      mkdirSync(screenshots, { recursive: true });
      await this.page.screenshot({ path: `${screenshots}/${name}.png` });
    }
  }

  async close() {
    await this.context.close();
  }
}

const scenes = {
  async "the basket is the same on both servers"({ url }, name) {
    const visitor = await Window.open(url);
    await visitor.press("Add apple");
    const seen = new Set();
    const servers = new Set();
    for (let n = 0; n < 4; n += 1) {
      seen.add(await (await visitor.reload()).basket());
      servers.add(await visitor.server());
    }
    await visitor.shoot(`${name}-basket`);
    await visitor.close();
    if (servers.size < 2) throw new Error("the balancer used one server only");
    return seen.size === 1 && seen.has("1 × apple") ? null : "the basket depends on the server";
  },

  async "tabs that add at the same time lose nothing, and do not wait"({ url }, name) {
    const visitor = await Window.open(url);
    await visitor.press("Add apple");
    const tabs = [visitor, await visitor.tab(), await visitor.tab()];
    const slow = tabs[0].press("Add a book, slowly");
    await sleep(200);
    const pressed = Date.now();
    await Promise.all([tabs[1].press("Add pear"), tabs[2].press("Add melon")]);
    const waited = Date.now() - pressed;
    await slow;
    const basket = await (await visitor.reload()).basket();
    await visitor.shoot(`${name}-tabs`);
    await visitor.close();
    if (basket !== "1 × apple, 1 × book, 1 × melon, 1 × pear") return `the basket has: ${basket || "nothing"}`;
    return waited < LOCKED ? null : `yes, after a wait of ${(waited / 1000).toFixed(1)} s`;
  },

  async "a logout beats a slow request, and does not wait"({ url }) {
    const visitor = await Window.open(url);
    await visitor.press("Add apple");
    await visitor.press("Log in");
    const other = await visitor.tab();
    if ((await other.user()) !== "ada") {
      await visitor.close();
      return "the login is lost on the other server";
    }
    const slow = visitor.press("Add a book, slowly");
    await sleep(500);
    const pressed = Date.now();
    await other.press("Log out");
    const waited = Date.now() - pressed;
    await slow;
    const users = new Set();
    for (let n = 0; n < 4; n += 1) users.add(await (await visitor.reload()).user());
    await visitor.close();
    if (users.size > 1 || !users.has(null)) return "the logout is undone";
    return waited < LOCKED ? null : `yes, after a wait of ${(waited / 1000).toFixed(1)} s`;
  },

  async "a user sees the devices, and ends one"({ url, store }, name) {
    const phone = await Window.open(url, "Phone");
    const laptop = await Window.open(url, "Laptop");
    // A user of this run: others may have left devices.
    const user = `ada-${Math.floor(Math.random() * 1e6)}`;
    for (const device of [phone, laptop]) {
      await device.page.$eval("input[name=user]", (input, value) => (input.value = value), user);
      await device.press("Log in");
    }
    if (store !== "api") {
      await Promise.all([phone.close(), laptop.close()]);
      return "files of sessions have no list by user";
    }
    const devices = await (await phone.reload()).texts("#devices li");
    await phone.shoot(`${name}-devices`);
    await phone.press("End");
    const ended = await (await laptop.reload()).user();
    const own = await phone.user();
    await Promise.all([phone.close(), laptop.close()]);
    return devices.length === 2 && ended === null && own === user ? null : `devices: ${devices}`;
  },

  // The last one: afterwards there is one server.
  async "the basket outlives a server"({ url, pids }, name) {
    const visitor = await Window.open(url);
    while ((await visitor.server()) !== "B") await visitor.reload();
    // From server B, the next request goes to A, which then dies.
    await visitor.press("Add apple");
    await visitor.press("Add pear");
    process.kill(-pids.A, "SIGKILL");
    await sleep(1_000);
    const basket = await (await visitor.reload()).basket();
    await visitor.shoot(`${name}-survivor`);
    await visitor.close();
    return basket === "1 × apple, 1 × pear" ? null : `the basket has: ${basket || "nothing"}`;
  },
};

const shops = readFileSync(`${folder}/shops`, "utf8")
  .trim()
  .split("\n")
  .map((line) => {
    const [shop, store, url] = line.split(" ");
    const pid = (server) => Number(readFileSync(`${folder}/${shop}-${store}-${server}.pid`, "utf8"));
    return { shop, store, url, pids: { A: pid("A"), B: pid("B") } };
  });

let [passed, failed] = [0, 0];
for (const [title, play] of Object.entries(scenes)) {
  console.log(title);
  for (const shop of shops) {
    const problem = await play(shop, `${shop.shop}-${shop.store}`).catch((error) => error.message);
    console.log(`  ${`${shop.shop}, ${shop.store}`.padEnd(16)} ${problem ?? "yes"}`);
    if (shop.store === "api") problem === null ? (passed += 1) : (failed += 1);
  }
}
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
