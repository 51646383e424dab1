// Checks a page as browsers and people see it: node check.mjs PAGE.html FOLDER
// No violation that axe finds, Lighthouse's accessibility score of at least 95, nothing loaded, nothing wider than a
// telephone's screen; and screenshots into the folder, to be looked at.
import { createServer } from "node:http";
import { mkdtemp, mkdir, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import lighthouse from "lighthouse";
import { chromium } from "playwright-core";

const [page, folder] = process.argv.slice(2);
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
// The browser is Debian's; it runs as root in a container, and asks no one else's hosts.
const OPTIONS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--hide-scrollbars",
];
const LOOKS = {
  "phone": { viewport: { width: 360, height: 800 } },
  "phone-dark": { viewport: { width: 360, height: 800 }, colorScheme: "dark" },
  "desktop": { viewport: { width: 1200, height: 900 } },
  "desktop-dark": { viewport: { width: 1200, height: 900 }, colorScheme: "dark" },
  "print": { viewport: { width: 794, height: 1123 }, media: "print" },
};
const wrong = [];

const html = await readFile(page);
const server = createServer((_, answer) => answer.setHeader("Content-Type", "text/html; charset=utf-8").end(html));
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const url = `http://127.0.0.1:${server.address().port}/`;
const profile = await mkdtemp(join(tmpdir(), "browser-"));
await mkdir(folder, { recursive: true });
const port = 9000 + (process.pid % 1000);
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: [...OPTIONS, `--remote-debugging-port=${port}`],
});

for (const [name, { viewport, colorScheme = "light", media = "screen" }] of Object.entries(LOOKS)) {
  const tab = await browser.newPage();
  await tab.setViewportSize(viewport);
  await tab.emulateMedia({ media, colorScheme });
  tab.on("request", (request) => request.url() === url || request.url().startsWith("data:")
    || wrong.push(`${name}: it loads ${request.url()}`));
  tab.on("console", (message) => message.type() === "error" && wrong.push(`${name}: ${message.text()}`));
  await tab.goto(url);
  const title = await tab.title();
  if (!title.startsWith("Contact enrichment, ")) wrong.push(`${name}: a text of the tables ran as a script: ${title}`);
  const width = await tab.evaluate(() => document.documentElement.scrollWidth);
  if (width > viewport.width) wrong.push(`${name}: it is ${width} pixels wide on a screen of ${viewport.width}`);
  await tab.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  await tab.addScriptTag({ path: axe });
  const { violations } = await tab.evaluate(() => window.axe.run());
  for (const one of violations) {
    wrong.push(`${name}: axe: ${one.id}: ${one.help} (${one.nodes.length}): ${one.nodes[0].html.slice(0, 200)}`);
  }
  console.log(`${name}: axe found ${violations.length} violations, ${width} pixels wide`);
  await tab.close();
}

const { lhr } = await lighthouse(url, { port, onlyCategories: ["accessibility", "best-practices"], logLevel: "error" });
const scores = Object.values(lhr.categories).map(({ title, score }) => `${title} ${Math.round(score * 100)}`);
console.log(`Lighthouse: ${scores.join(", ")}; ${html.length} bytes`);
if (lhr.categories.accessibility.score < 0.95) wrong.push("Lighthouse: accessibility below 95");
for (const { id, title, score } of Object.values(lhr.audits)) {
  if (score !== null && score < 1) console.log(`  Lighthouse: ${id}: ${title}`);
}

await browser.close();
server.close();
await rm(profile, { recursive: true, force: true });
wrong.forEach((line) => console.error(`wrong: ${line}`));
process.exit(wrong.length ? 1 : 0);
