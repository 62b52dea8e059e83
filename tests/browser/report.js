// Tests of the report and the page of an audit in a real browser: node report.js REPORT_FOLDER [AUDIT_PAGE [SCREENSHOT_FOLDER]]
//
// REPORT_FOLDER was written by `visage report` or `visage demo`, of at least two evaluated runs; AUDIT_PAGE by `visage audit`.
// Fails on any error and on any request of the page. Screenshots are for people to look at.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { launch, run } from './browser.js';

const [folder, auditPage, pictures] = process.argv.slice(2);
const file = resolve(folder, 'report.html');
const auditUrl = auditPage && pathToFileURL(resolve(auditPage)).href;
if (pictures) mkdirSync(pictures, { recursive: true });

const browser = await launch();

// Opens the page with these context options, and collects errors.
const wrong = [];
async function open(options, url = pathToFileURL(file).href) {
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
    // The time depends on the load of the machine; the number of elements does not.
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
    await page.fill('#metrics input', 'hair');
    const hair = await shown();
    assert.ok(hair.length > 0 && hair.length < all && hair.every(row => /hair/i.test(row)), hair.join());
    await page.fill('#metrics input', 'prevalence<0.2');
    const rare = (await shown()).length;
    await page.fill('#metrics input', 'prevalence>0.2');
    assert.equal(rare + (await shown()).length, all);
    assert.equal(await page.textContent('#metrics output'), `${all - rare} of ${all} rows`);
    await page.fill('#metrics input', '');
    assert.equal((await shown()).length, all);
  },

  async 'pointing at a figure shows its values'() {
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
    assert.ok(told > 10, `${told} figures showed values`);
    await seen(page, 'hover');
    await page.mouse.move(2, 2);
    assert.ok(!(await page.isVisible('#tip')));
  },

  async 'values read off the axes are right'() {
    const page = await open({ viewport: { width: 1400, height: 900 } });
    // The tooltip of the chosen threshold holds its values; its position on the axes must agree.
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

  async 'the comparison is a table of differences'() {
    const page = await open({ viewport: { width: 1400, height: 900 } });
    if (!(await page.locator('#comparison').count())) return;
    const headings = await page.$$eval('#differences thead th', all => all.map(heading => heading.textContent));
    const runs = await page.$$eval('.runs thead th', all => all.map(heading => heading.textContent));
    assert.deepEqual(headings, ['Macro average', runs[0], ...runs.slice(1).flatMap(run => [run, 'Difference'])]);
    const rows = await page.$$eval('#differences tbody tr', all => all.map(row => [...row.cells].map(cell => cell.textContent)));
    assert.deepEqual(rows.map(row => row[0]), ['Accuracy', 'Precision', 'Recall', 'F1', 'Average precision', 'Predicted positive']);
    for (const [name, first, value, difference] of rows) {
      assert.match(difference, /^[+-]\d\.\d{4}( [+-]\d\.\d{4} to [+-]\d\.\d{4})?$/, name);
      assert.ok(Math.abs(value - first - parseFloat(difference)) < 0.0011, `${name}: ${value} - ${first}, ${difference}`);
    }
    const findings = await page.$$eval('#comparison li', all => all.map(finding => finding.textContent));
    assert.ok(findings.length > 0 && findings.every(finding => !/ {3}/.test(finding)), findings.join());
    await page.locator('#comparison').scrollIntoViewIfNeeded();
    await page.evaluate(() => document.querySelector('#comparison').scrollIntoView());
    await seen(page, 'comparison');
  },

  async 'groups and rule violations are shown if they were evaluated'() {
    const page = await open({ viewport: { width: 1400, height: 900 } });
    if (await page.locator('#consistency').count()) {
      const rules = await page.$$eval('#consistency tbody tr', rows => rows.map(row => row.textContent));
      assert.ok(rules.length > 1 && rules.at(-1).startsWith('any rule'), rules.join());
    }
    if (!(await page.locator('#groups').count())) return;
    const all = await page.locator('#gaps tbody tr').count();
    await page.fill('#groups input', 'opportunity width>0.1');
    const shown = await page.$$eval('#gaps tbody tr', rows => rows.filter(row => !row.hidden).map(row => row.textContent));
    assert.ok(shown.length > 0 && shown.length < all && shown.every(row => /equal opportunity/.test(row)), shown.join());
    await page.click('#gaps [data-k=width] button');
    assert.equal(await page.getAttribute('#gaps [data-k=width]', 'aria-sort'), 'descending');
    await page.locator('#groups').scrollIntoViewIfNeeded();
    await seen(page, 'groups');
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

if (auditPage) {
  tests['the audit loads, sorts and filters'] = async () => {
    const page = await open({ viewport: { width: 1400, height: 900 } }, auditUrl);
    assert.ok(statSync(auditPage).size < 5e6, `${statSync(auditPage).size} bytes`);
    assert.ok(!/NaN|undefined|Infinity/.test(await page.textContent('main')));
    const rows = (table, key) => page.$$eval(`#${table} tbody tr`, (rows, [table, key]) => {
      const at = [...document.querySelectorAll(`#${table} thead th`)].findIndex(th => th.dataset.k === key);
      return rows.filter(row => !row.hidden).map(row => row.cells[at].textContent);
    }, [table, key]);
    const confidences = (await rows('doubts', 'confidence')).map(Number);
    const isUndecided = (await rows('doubts', 'finding')).map(finding => finding === 'cannot tell');
    assert.ok(confidences.length > 0);
    for (const [i, confidence] of confidences.entries()) {
      if (i === 0) continue;
      const follows = isUndecided[i] === isUndecided[i - 1] ? confidence >= confidences[i - 1] : isUndecided[i];
      assert.ok(follows, 'the most doubtful first, then those of which the model cannot tell');
    }
    await page.fill('#labels input', 'suspected');
    const findings = await rows('doubts', 'finding');
    assert.ok(findings.every(finding => finding === 'suspected'), findings.join());
    await page.fill('#labels input', 'confidence<0.5 probability>0.5');
    assert.ok((await rows('doubts', 'label')).every(label => label === 'absent'), 'what is likely present is doubted where absent');
    await page.fill('#labels input', '');
    await page.click('#doubts [data-k=attribute] button');
    const names = await rows('doubts', 'attribute');
    assert.deepEqual(names, [...names].sort((a, b) => a.localeCompare(b)));
    await page.click('#found [data-k=suspected] button');
    // Attributes that the model cannot tell have no number.
    const suspected = (await rows('found', 'suspected')).map(Number).filter(Number.isFinite);
    assert.ok(suspected.every((n, i) => i === 0 || n <= suspected[i - 1]), suspected.join());
    // Every picture is complete.
    const broken = await page.$$eval('img', async all => {
      all.forEach(image => { image.loading = 'eager'; });
      const whole = await Promise.all(all.map(image => image.decode().then(() => image.naturalWidth > 0, () => false)));
      return whole.filter(each => !each).length;
    });
    assert.equal(broken, 0);
    await page.evaluate(() => scrollTo(0, 0));
    await seen(page, 'audit-light');
    await seen(page, 'audit-light-whole', { fullPage: true });
  };
  tests['the audit, dark, on a phone and printed'] = async () => {
    const dark = await open({ viewport: { width: 1400, height: 900 }, colorScheme: 'dark' }, auditUrl);
    await seen(dark, 'audit-dark');
    const phone = await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }, auditUrl);
    const wide = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${wide} pixels too wide for a phone`);
    await seen(phone, 'audit-phone');
    await phone.locator('#labels').scrollIntoViewIfNeeded();
    await phone.evaluate(() => document.querySelector('#labels').scrollIntoView());
    await seen(phone, 'audit-phone-labels');
    const pdf = await dark.pdf({ format: 'A4', path: pictures && join(pictures, 'audit.pdf') });
    assert.ok(pdf.length > 10000);
  };
}

const failed = await run(tests, wrong);
await browser.close();
process.exit(failed ? 1 : 0);
