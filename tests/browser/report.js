// The report in a real browser: node report.js REPORT_FOLDER [SCREENSHOT_FOLDER]
//
// REPORT_FOLDER is what `visage report` or `visage demo` wrote, of at least two judged runs. Fails on any error, any
// request that leaves the page, and anything that does not work. Screenshots are for people to look at.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const [folder, pictures] = process.argv.slice(2);
const file = resolve(folder, 'report.html');
const url = pathToFileURL(file).href;
if (pictures) mkdirSync(pictures, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});

// Opens the page as `options` say, keeping a list of what went wrong.
const wrong = [];
async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on('pageerror', error => wrong.push(`error: ${error.message}`));
  page.on('console', message => { if (message.type() === 'error') wrong.push(`console: ${message.text()}`); });
  page.on('request', request => {
    if (request.url() !== url && !request.url().startsWith('data:')) wrong.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  return page;
}

const seen = async (page, name, options = {}) => {
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`), ...options });
};

const tests = {
  async 'it is small'() {
    assert.ok(statSync(file).size < 5e6, `${statSync(file).size} bytes`);
    const page = await open({ viewport: { width: 1400, height: 900 } });
    const took = await page.evaluate(() => performance.getEntriesByType('navigation')[0].loadEventEnd);
    const nodes = await page.evaluate(() => document.getElementsByTagName('*').length);
    console.log(`  ${(statSync(file).size / 1e6).toFixed(2)} MB, ${nodes} elements, opened in ${Math.round(took)} ms`);
    // How long it takes depends on who else is at work; how much there is to do does not.
    assert.ok(nodes < 60000, `${nodes} elements`);
  },

  async 'every figure has a title, a reading, an alternative text and labelled axes'() {
    const page = await open({ viewport: { width: 1400, height: 900 } });
    const figures = await page.$$eval('.figures figure', all => all.map(figure => ({
      title: figure.querySelector('figcaption').textContent,
      reading: figure.querySelector('figcaption ~ p').textContent,
      alt: figure.querySelector('svg').getAttribute('aria-label'),
      axes: [...figure.querySelectorAll('g[data-x]')].map(g => [g.dataset.xn, g.dataset.yn]),
      broken: /NaN|undefined|Infinity|inf\b/.test(figure.outerHTML),
    })));
    assert.ok(figures.length > 10, `${figures.length} figures`);
    for (const { title, reading, alt, axes, broken } of figures) {
      assert.ok(title && reading.length > 30 && reading.trim().endsWith('.'), `${title}: ${reading}`);
      assert.ok(alt.startsWith(title) && alt.includes(reading), title);
      assert.ok(axes.length > 0 && axes.flat().every(Boolean), title);
      assert.ok(!broken, title);
    }
    await seen(page, 'light');
    await seen(page, 'light-whole', { fullPage: true });
  },

  async 'the table sorts'() {
    const page = await open({ viewport: { width: 1400, height: 900 } });
    const column = key => page.$$eval('#table tbody tr', (rows, key) => {
      const at = [...document.querySelectorAll('#table thead th')].findIndex(th => th.dataset.k === key);
      return rows.map(row => row.cells[at].textContent);
    }, key);
    const sorted = (values, sign) => values.every((v, i) => i === 0 || sign * (v - values[i - 1]) >= 0);
    const numbers = async key => (await column(key)).map(parseFloat).filter(v => !Number.isNaN(v));
    assert.ok(!sorted(await numbers('f1'), -1), 'unsorted at first');
    await page.click('#table [data-k=f1] button');
    assert.ok(sorted(await numbers('f1'), -1), 'downwards');
    await page.click('#table [data-k=f1] button');
    assert.ok(sorted(await numbers('f1'), 1), 'upwards');
    assert.equal(await page.getAttribute('#table [data-k=f1]', 'aria-sort'), 'ascending');
    await page.click('#table [data-k=attribute] button');
    const names = await column('attribute');
    assert.deepEqual(names, [...names].sort((a, b) => a.localeCompare(b)));
    await page.locator('#metrics').scrollIntoViewIfNeeded();
    await seen(page, 'table');
  },

  async 'the table filters'() {
    const page = await open({ viewport: { width: 1400, height: 900 } });
    const shown = () => page.$$eval('#table tbody tr', rows => rows.filter(row => !row.hidden).map(row => row.textContent));
    const all = (await shown()).length;
    await page.fill('#filter', 'hair');
    const hair = await shown();
    assert.ok(hair.length > 0 && hair.length < all && hair.every(row => /hair/i.test(row)), hair.join());
    await page.fill('#filter', 'prevalence<0.2');
    const rare = (await shown()).length;
    await page.fill('#filter', 'prevalence>0.2');
    assert.equal(rare + (await shown()).length, all);
    assert.equal(await page.textContent('#shown'), `${all - rare} of ${all} rows`);
    await page.fill('#filter', '');
    assert.equal((await shown()).length, all);
  },

  async 'pointing at a figure tells its values'() {
    const page = await open({ viewport: { width: 1400, height: 900 } });
    // The middle of some dot, line or bar of every open figure.
    const svgs = await page.$$('.figures svg');
    let told = 0;
    for (const svg of svgs) {
      const mark = await svg.$('g[data-x] [data-n], g[data-x] [data-t]');
      if (!mark || !(await mark.isVisible())) continue;
      await mark.scrollIntoViewIfNeeded();
      const [x, y] = await mark.evaluate(el => {
        const at = el.tagName === 'path' ? el.getPointAtLength(el.getTotalLength() / 2) : null;
        const box = el.getBBox();
        const point = new DOMPoint(at?.x ?? box.x + box.width / 2, at?.y ?? box.y + box.height / 2).matrixTransform(el.getScreenCTM());
        return [point.x, point.y];
      });
      await page.mouse.move(x, y);
      const words = await page.textContent('#tip');
      assert.ok(await page.isVisible('#tip') && /\d/.test(words) && !/NaN|undefined/.test(words), words);
      told++;
    }
    assert.ok(told > 10, `${told} figures told something`);
    await seen(page, 'hover');
    await page.mouse.move(2, 2);
    assert.ok(!(await page.isVisible('#tip')));
  },

  async 'an axis is read back rightly'() {
    const page = await open({ viewport: { width: 1400, height: 900 } });
    // The chosen point tells its values in words; the same place read off the axes must agree.
    const found = await page.$$eval('details figure', figures => figures.flatMap(figure => {
      const dot = [...figure.querySelectorAll('circle[data-t]')].find(c => /: precision [\d.]+, recall [\d.]+$/.test(c.dataset.t));
      if (!dot) return [];
      const [, precision, recall] = dot.dataset.t.match(/precision ([\d.]+), recall ([\d.]+)$/).map(Number);
      const read = (axis, at) => { const [b, e, l, h] = axis.split(',').map(Number); return l + (h - l) * (at - b) / (e - b); };
      const { x, y } = dot.parentNode.dataset;
      return [[precision, read(y, +dot.getAttribute('cy'))], [recall, read(x, +dot.getAttribute('cx'))]];
    }));
    assert.ok(found.length > 0);
    for (const [told, read] of found) assert.ok(Math.abs(told - read) < 0.003, `${told} and ${read}`);
  },

  async 'a row leads to the figures of its attribute'() {
    const page = await open({ viewport: { width: 1400, height: 900 } });
    const last = page.locator('#table tbody a').last();
    const name = await last.textContent();
    await last.click();
    const details = page.locator('details', { has: page.locator('summary b', { hasText: new RegExp(`^${name}$`) }) });
    await page.waitForFunction(() => document.querySelectorAll('details[open]').length === 2);
    assert.ok(await details.locator('svg').first().isVisible());
    await seen(page, 'attribute');
    await page.click('[data-open=""]');
    assert.equal(await page.locator('details[open]').count(), 0);
    await page.click('[data-open="1"]');
    assert.equal(await page.locator('details[open]').count(), await page.locator('details').count());
  },

  async 'dark, and on a phone'() {
    const colour = page => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await open({ viewport: { width: 1400, height: 900 }, colorScheme: 'dark' });
    const light = await open({ viewport: { width: 1400, height: 900 }, colorScheme: 'light' });
    assert.notEqual(await colour(dark), await colour(light));
    await seen(dark, 'dark-whole', { fullPage: true });
    const phone = await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    const wide = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${wide} pixels too wide for a phone`);
    const svg = phone.locator('.figures svg').first();
    await svg.scrollIntoViewIfNeeded();
    const box = await svg.boundingBox();
    await phone.touchscreen.tap(box.x + box.width / 2, box.y + box.height * 0.6);
    await seen(phone, 'phone');
    await seen(phone, 'phone-whole', { fullPage: true });
  },

  async 'it prints'() {
    const page = await open({ viewport: { width: 1400, height: 900 }, colorScheme: 'dark' });
    const pdf = await page.pdf({ format: 'A4', printBackground: true, path: pictures && join(pictures, 'print.pdf') });
    assert.ok(pdf.length > 20000 && pdf.subarray(0, 5).toString() === '%PDF-');
    await page.emulateMedia({ media: 'print' });
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(255, 255, 255)');
    assert.ok(!(await page.isVisible('nav')));
  },

  async 'the figures beside it are whole'() {
    const page = await open({});
    const files = readdirSync(join(folder, 'figures'), { recursive: true }).filter(name => name.endsWith('.svg'));
    assert.ok(files.length > 10);
    for (const name of files) {
      const svg = readFileSync(join(folder, 'figures', name), 'utf8');
      const broken = await page.evaluate(text => new DOMParser().parseFromString(text, 'image/svg+xml').querySelector('parsererror')?.textContent, svg);
      assert.ok(!broken, `${name}: ${broken}`);
      assert.ok(existsSync(join(folder, 'figures', name.replace(/svg$/, 'png'))), name);
    }
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    assert.deepEqual(wrong.splice(0), [], 'something went wrong on the page');
    console.log(`ok   ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL ${name}\n     ${error.message}`);
  }
}
await browser.close();
process.exit(failed ? 1 : 0);
