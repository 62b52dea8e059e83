// The page of `visage serve`, in a real browser: node serve.js PROGRAM MODEL IMAGE [--photograph FILE] [SCREENSHOT_FOLDER]
//
// Starts PROGRAM with MODEL on a free port, without and with a token. With a photograph of three faces or more, also with --faces, for
// which the networks are installed in VISAGE_HOME. Fails on any error, on any request to anybody but that server,
// and on anything that does not work. Screenshots are for people to look at.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { launch, run } from './browser.js';

const words = process.argv.slice(2);
const named = words.indexOf('--photograph');
const [, photograph] = named < 0 ? [] : words.splice(named, 2);
const [program, model, image, pictures] = words;
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
const finding = photograph && await serve('--faces');

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
// The faces of the photograph, as the server answers them.
const directFaces = async () => (await (await fetch(`${finding}/v1/attributes?faces=all`, { method: 'POST', body: readFileSync(photograph) })).json()).images[0];
// A file handed to the page by an event, as a browser does.
const handed = (page, kind) => page.evaluate(async ([kind, name, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/jpeg' }));
  const event = kind === 'paste' ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}, [kind, file.name, [...file.buffer]]);

// A screen reader finds names, headings, landmarks and live regions.
async function readable(page) {
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
}

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
    await readable(page);
    const row = await page.locator('#list button').first().ariaSnapshot();
    assert.match(row, /button ".+ \d.* % (present|absent) threshold \d.* %: show heat map"/);
    assert.match(await page.textContent('#status'), /Done: \d+ of \d+ attributes/);
  },

  async 'light and dark are readable, and it fits a phone'() {
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

// Tests of a server that finds faces.
const findingTests = {
  async 'faces are outlined where they are, and one is chosen by click and by keyboard'() {
    const page = await open({}, finding);
    await seen(page, 'faces-empty');
    assert.match(await page.textContent('#finding'), /found, never recognised/);
    await give(page, photograph);
    const { faces, width, height } = await directFaces();
    assert.ok(faces.length >= 3, `${faces.length} faces in ${photograph}`);
    const outlines = await page.$$eval('#faces [role=radio]', buttons => {
      const frame = document.querySelector('#image').getBoundingClientRect();
      return buttons.map(button => {
        const { left, top, width, height } = button.getBoundingClientRect();
        return { x: (left + width / 2 - frame.left) / frame.width, y: (top + height / 2 - frame.top) / frame.height, label: button.ariaLabel };
      });
    });
    assert.equal(outlines.length, faces.length);
    for (const [index, { box }] of faces.entries()) {
      const { x, y, label } = outlines[index];
      assert.ok(Math.abs(x - (box.x + box.width / 2) / width) < 0.01 && Math.abs(y - (box.y + box.height / 2) / height) < 0.01, JSON.stringify([box, outlines[index]]));
      assert.equal(label, `Face ${index + 1} of ${faces.length}`);
    }
    const chosen = () => page.$$eval('#faces [role=radio]', buttons => buttons.map(button => button.ariaChecked).indexOf('true'));
    // The answers of a face, in the model's order.
    await page.selectOption('#order', 'card');
    const listed = () => page.$$eval('#list li .number', numbers => numbers.map(number => parseFloat(number.textContent) / 100));
    const near = (found, face) => face.attributes.every(({ probability }, index) => Math.abs(found[index] - probability) < 0.006);
    assert.equal(await chosen(), 0);
    assert.ok(near(await listed(), faces[0]));
    await seen(page, 'faces', { fullPage: true });
    await page.focus('#faces [aria-checked=true]');
    await page.keyboard.press('ArrowRight');
    assert.equal(await chosen(), 1);
    assert.ok(await page.evaluate(() => document.activeElement.ariaChecked === 'true'), 'the focus follows');
    assert.ok(near(await listed(), faces[1]));
    assert.match(await page.textContent('#summary'), new RegExp(`^Face 2 of ${faces.length}: `));
    await page.keyboard.press('End');
    assert.equal(await chosen(), faces.length - 1);
    await page.keyboard.press('ArrowRight');
    assert.equal(await chosen(), 0);
    await page.locator('#faces [role=radio]').nth(2).click();
    assert.equal(await chosen(), 2);
    assert.ok(near(await listed(), faces[2]));
    // Tab leaves the group: it is one stop.
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.closest('#faces')), null);
  },

  async 'the heat of a face lies over it, and is put away'() {
    const page = await open({}, finding);
    await give(page, photograph);
    await page.locator('#faces [role=radio]').nth(1).click();
    const asked = page.waitForRequest(request => /v1\/heat.*face=1/.test(request.url()));
    await page.locator('#list button').first().click();
    await asked;
    await page.waitForSelector('#list button[aria-pressed=true]');
    await page.waitForFunction(() => document.querySelector('#overlay').naturalWidth > 0);
    const { faces: [, face], width, height } = await directFaces();
    // The overlay is opaque in the middle of this face, and transparent in a corner of the photograph.
    const opacity = await page.evaluate(places => {
      const overlay = document.querySelector('#overlay');
      const canvas = Object.assign(document.createElement('canvas'), { width: overlay.naturalWidth, height: overlay.naturalHeight });
      const context = canvas.getContext('2d');
      context.drawImage(overlay, 0, 0);
      return places.map(([x, y]) => context.getImageData(x * canvas.width, y * canvas.height, 1, 1).data[3]);
    }, [[(face.box.x + face.box.width / 2) / width, (face.box.y + face.box.height / 2) / height], [0.001, 0.999]]);
    assert.ok(opacity[0] > 100 && opacity[1] === 0, opacity.join());
    assert.match(await page.getAttribute('#overlay', 'alt'), /heat map over the face/);
    assert.match(await page.getAttribute('#near', 'aria-label'), /^Face 2 of .*with the heat map/);
    await seen(page, 'faces-heat', { fullPage: true });
    await page.click('#plain');
    assert.ok(await page.isHidden('#overlay') && await page.isHidden('#near-overlay'));
    assert.equal(await page.locator('#list [aria-pressed=true]').count(), 0);
  },

  async 'a picture without a face is said to have none, and is classified as it is if wanted'() {
    const page = await open({}, finding);
    const empty = await page.evaluate(() => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 300, height: 200 });
      canvas.getContext('2d').fillRect(0, 0, 300, 200);
      return canvas.toDataURL('image/png').split(',')[1];
    });
    await page.setInputFiles('#file', { name: 'empty.png', mimeType: 'image/png', buffer: Buffer.from(empty, 'base64') });
    await page.waitForFunction(() => /No face was found/.test(document.querySelector('#status').textContent));
    assert.match(await page.textContent('#nothing'), /switch off/);
    assert.ok(await page.isHidden('#faces') && await page.isHidden('#given'));
    await page.uncheck('#find');
    await page.waitForSelector('#list li');
    assert.match(await page.textContent('#summary'), /^\d+ of/);
    await seen(page, 'faces-none', { fullPage: true });
    await page.check('#find');
    await page.waitForFunction(() => /No face was found/.test(document.querySelector('#status').textContent));
  },

  async 'faces are readable by a screen reader, in light and dark, and on a phone'() {
    for (const colorScheme of ['light', 'dark']) {
      const page = await open({ colorScheme }, finding);
      await give(page, photograph);
      await readable(page);
      assert.deepEqual(await faint(page), [], colorScheme);
      assert.match(await page.textContent('#status'), /Done: Face 1 of \d+: \d+ of \d+ attributes/);
      await page.locator('#list button').first().click();
      await page.waitForSelector('#list button[aria-pressed=true]');
      await readable(page);
    }
    const phone = await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }, finding);
    await give(phone, photograph);
    const wide = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${wide} pixels too wide for a phone`);
    await seen(phone, 'faces-phone', { fullPage: true });
  },
};

const failed = await run(finding ? { ...tests, ...findingTests } : tests, wrong);
await browser.close();
servers.forEach(server => server.kill());
process.exit(failed ? 1 : 0);
