// The page of `visage serve`, in a real browser: node serve.js PROGRAM MODEL IMAGE [SCREENSHOT_FOLDER]
//
// Starts PROGRAM with MODEL on a free port, without and with a token. Fails on any error, on any request to anybody but that server,
// and on anything that does not work. Screenshots are for people to look at.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { launch, run } from './browser.js';

const [program, model, image, pictures] = process.argv.slice(2);
if (pictures) mkdirSync(pictures, { recursive: true });
const TOKEN = 'a-token-of-the-page-tests';
const scratch = mkdtempSync(join(tmpdir(), 'visage-'));
writeFileSync(join(scratch, 'token'), TOKEN);

const servers = [];
async function serve(...options) {
  const server = spawn(program, ['serve', model, `second=${model}`, '--port', '0', ...options], { stdio: ['ignore', 'pipe', 'ignore'] });
  servers.push(server);
  const said = await new Promise(resolve => server.stdout.once('data', data => resolve(String(data))));
  return said.trim().split(' ').at(-1);
}
const address = await serve();
const guarded = await serve('--token-file', join(scratch, 'token'));

const browser = await launch('--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream');

const wrong = [];
async function open(options = {}, url = address) {
  const context = await browser.newContext({ viewport: { width: 1300, height: 900 }, ...options });
  const page = await context.newPage();
  page.on('pageerror', error => wrong.push(`error: ${error.message}`));
  page.on('console', message => {
    // What the server refuses is also said on the page, where the tests look for it.
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) wrong.push(`console: ${message.text()}`);
  });
  page.on('request', request => {
    if (!request.url().startsWith(url) && !/^(blob|data):/.test(request.url())) wrong.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  return page;
}

const seen = async (page, name, options = {}) => {
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`), ...options });
};
const give = async (page, file = image) => {
  await page.setInputFiles('#file', file);
  await page.waitForSelector('#list li');
};
const file = { name: basename(image), mimeType: 'image/jpeg', buffer: readFileSync(image) };
const direct = async () => (await (await fetch(`${address}/v1/attributes`, { method: 'POST', body: file.buffer })).json()).images[0].attributes;
// A file handed to the page by an event, as a browser does.
const handed = (page, kind) => page.evaluate(async ([kind, name, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/jpeg' }));
  const event = kind === 'paste' ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}, [kind, file.name, [...file.buffer]]);

const tests = {
  async 'every attribute is a labelled bar against its threshold'() {
    const page = await open();
    await seen(page, 'empty');
    await give(page);
    const expected = (await direct()).sort((a, b) => b.probability - a.probability);
    const rows = await page.$$eval('#list li', rows => rows.map(row => {
      const bar = row.querySelector('.bar');
      const width = kind => parseFloat(getComputedStyle(bar, kind).width) / bar.clientWidth;
      const left = parseFloat(getComputedStyle(bar, '::after').left) / bar.clientWidth;
      return { text: row.innerText, bar: width('::before'), mark: left, present: row.className === 'present' };
    }));
    assert.equal(rows.length, expected.length);
    for (const [index, { name, probability, threshold, present }] of expected.entries()) {
      const row = rows[index];
      assert.ok(row.text.startsWith(name.replaceAll('_', ' ')), row.text);
      assert.ok(Math.abs(row.bar - probability) < 0.01 && Math.abs(row.mark - threshold) < 0.02, `${name} ${JSON.stringify(row)}`);
      assert.equal(row.present, present);
      assert.ok(row.text.includes(present ? 'present' : 'absent'));
    }
    await seen(page, 'answered', { fullPage: true });
    await page.selectOption('#order', 'card');
    const first = await page.textContent('#list li .name');
    assert.equal(first, (await direct())[0].name.replaceAll('_', ' '));
    const notice = await page.textContent('#notice');
    assert.ok(/must not be used/.test(notice) && /Not for identifying people/.test(notice), notice);
  },

  async 'the heat of an attribute is shown over the picture, and put away'() {
    const page = await open();
    await give(page);
    const button = page.locator('#list button').first();
    const name = await page.textContent('#list li .name');
    await button.click();
    await page.waitForSelector('#list button[aria-pressed=true]');
    assert.ok((await page.getAttribute('#image', 'alt')).endsWith(name));
    await page.waitForFunction(() => document.querySelector('#image').naturalWidth >= 300);
    assert.ok((await page.textContent('#status')).includes(name));
    await seen(page, 'heat');
    await page.click('#plain');
    assert.equal(await page.locator('[aria-pressed=true]').count(), 0);
    assert.equal(await page.getAttribute('#image', 'alt'), 'The original picture');
    assert.equal(await page.textContent('#caption'), basename(image));
  },

  async 'pictures are dropped, pasted and taken'() {
    for (const kind of ['drop', 'paste']) {
      const page = await open();
      if (kind === 'drop') {
        await handed(page, 'dragenter');
        assert.ok(await page.$eval('#drop', drop => drop.classList.contains('over')));
      }
      await handed(page, kind);
      await page.waitForSelector('#list li');
      assert.equal(await page.textContent('#caption'), file.name, kind);
    }
    const page = await open({ permissions: ['camera'] });
    await page.click('#camera');
    await page.waitForFunction(() => document.querySelector('#video').videoWidth > 0);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'shoot');
    await seen(page, 'camera');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#list li');
    assert.ok(await page.isHidden('#live'));
    assert.equal(await page.$eval('#video', video => video.srcObject), null, 'the camera is off');
  },

  async 'what is wrong is said'() {
    const page = await open();
    await page.setInputFiles('#file', { name: 'a.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('no picture') });
    await page.waitForFunction(() => document.querySelector('#error').textContent);
    assert.match(await page.textContent('#error'), /^Not a readable JPEG/);
    await seen(page, 'error');
    await give(page);
    assert.equal(await page.textContent('#error'), '');
  },

  async 'it is all there for a keyboard'() {
    const page = await open();
    const reached = [];
    for (let step = 0; step < 8; step++) {
      await page.keyboard.press('Tab');
      reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.tagName));
    }
    for (const wanted of ['skip', 'model', 'choose', 'camera']) assert.ok(reached.includes(wanted), `${wanted} in ${reached}`);
    const [chooser] = await Promise.all([
      page.waitForEvent('filechooser'),
      page.focus('#choose').then(() => page.keyboard.press('Space')),
    ]);
    await chooser.setFiles(image);
    await page.waitForSelector('#list li');
    await page.focus('#list button');
    await seen(page, 'focus');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#list button[aria-pressed=true]');
    assert.ok(await page.evaluate(() => document.activeElement.matches('#list button')), 'the focus stays');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#list button[aria-pressed=true]', { state: 'detached' });
  },

  async 'it is all there for a screen reader'() {
    const page = await open();
    await give(page);
    const told = await page.evaluate(() => {
      const unnamed = [...document.querySelectorAll('button, select, input, img, video')].filter(each => each.offsetParent && !each.ariaHidden)
        .filter(each => !(each.innerText?.trim() || each.labels?.length || each.getAttribute('aria-label') || each.alt));
      const levels = [...document.querySelectorAll('h1, h2, h3')].map(each => +each.tagName[1]);
      const ids = [...document.querySelectorAll('[id]')].map(each => each.id);
      return {
        unnamed: unnamed.map(each => each.outerHTML), levels,
        lang: document.documentElement.lang, title: document.title,
        landmarks: ['header', 'main'].every(each => document.querySelectorAll(each).length === 1),
        twice: ids.filter((id, index) => ids.indexOf(id) !== index),
        dangling: [...document.querySelectorAll('[aria-labelledby], label[for]')].filter(each => !document.getElementById(each.getAttribute('aria-labelledby') ?? each.htmlFor)).length,
        live: [document.querySelector('#status').getAttribute('role'), document.querySelector('#error').getAttribute('role')],
      };
    });
    assert.deepEqual(told.unnamed, []);
    assert.deepEqual(told.twice, []);
    assert.equal(told.dangling, 0);
    assert.deepEqual(told.live, ['status', 'alert']);
    assert.ok(told.lang && told.title && told.landmarks, JSON.stringify(told));
    assert.ok(told.levels[0] === 1 && told.levels.every((level, index) => index === 0 || level - told.levels[index - 1] <= 1), told.levels.join());
    const row = await page.locator('#list button').first().ariaSnapshot();
    assert.match(row, /button ".+ \d.* % (present|absent) threshold \d.* %: show heat map"/);
    assert.match(await page.textContent('#status'), /Done: \d+ of \d+ attributes/);
  },

  async 'light and dark are readable, and it fits a phone'() {
    // The contrast of every visible text with what is behind it, after WCAG 2.2.
    const faint = page => page.evaluate(() => {
      const channels = colour => {
        const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
      };
      const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const behind = each => {
        for (let at = each; at; at = at.parentElement) {
          const colour = channels(getComputedStyle(at).backgroundColor);
          if (colour[3] === 255) return colour;
        }
        return [255, 255, 255];
      };
      const bad = [];
      for (const each of document.querySelectorAll('p, h1, h2, span, button, label, select, figcaption')) {
        if (!each.offsetParent || !each.innerText?.trim()) continue;
        const [a, b] = [light(channels(getComputedStyle(each).color)), light(behind(each))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(`${each.tagName} ${each.innerText.slice(0, 30)} ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
      }
      return bad;
    });
    for (const colorScheme of ['light', 'dark']) {
      const page = await open({ colorScheme });
      await give(page);
      assert.deepEqual(await faint(page), [], colorScheme);
      await page.locator('#list button').nth(1).click();
      await page.waitForSelector('#list button[aria-pressed=true]');
      await seen(page, colorScheme);
    }
    const phone = await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    await give(phone);
    const wide = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${wide} pixels too wide for a phone`);
    await seen(phone, 'phone', { fullPage: true });
  },

  async 'another model is asked'() {
    const page = await open();
    await give(page);
    const asked = page.waitForRequest(request => request.url().includes('model=second'));
    await page.selectOption('#model', 'second');
    await asked;
    await page.waitForSelector('#list li');
  },

  async 'a token is asked for, and remembered by nobody'() {
    const page = await open({}, guarded);
    await page.waitForSelector('#login:not([hidden])');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'token');
    await page.fill('#token', 'not-the-right-token');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => /token is wrong/.test(document.querySelector('#error').textContent));
    await seen(page, 'token');
    await page.fill('#token', TOKEN);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#login', { state: 'hidden' });
    await give(page);
    const kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
    assert.deepEqual(kept, [0, 0, '']);
  },
};

const failed = await run(tests, wrong);
await browser.close();
servers.forEach(server => server.kill());
process.exit(failed ? 1 : 0);
