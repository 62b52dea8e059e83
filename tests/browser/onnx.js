// The JavaScript of docs/deploy.md, in a real browser: node onnx.js PROGRAM RUN IMAGE...
//
// Exports the run, answers the images with onnxruntime-web, and compares the probabilities with those of PROGRAM.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { launch, run } from './browser.js';

// Pixels may differ by 1 of 255, which small models answer with up to this.
const TOLERANCE = 0.05;
const [program, model, ...images] = process.argv.slice(2);
const here = import.meta.dirname;
const scratch = mkdtempSync(join(tmpdir(), 'visage-'));
const visage = (...words) => String(execFileSync(program, words));
visage('export', model, '--format', 'onnx', '--raw-images', '--out', join(scratch, 'model.onnx'));
const card = JSON.parse(visage('card', model, '--json')).model;
// The recipes of this project resize to exactly this size, without a crop.
const [height, width] = card.preparation.resize.exact.split('x').map(Number);
const module = readFileSync(join(here, '../../docs/deploy.md'), 'utf8').match(/```js\n([^]*?)```/)[1];

// A server for the page, the module, the runtime and the images.
const types = { '.mjs': 'text/javascript', '.js': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' };
const page = `<script type="importmap">{ "imports": { "onnxruntime-web/wasm": "/runtime/ort.wasm.min.mjs" } }</script>
<script type="module">
import * as ort from 'onnxruntime-web/wasm';
import { answers } from '/deploy.js';
window.answer = async (url, card, size) => {
  window.session ??= await ort.InferenceSession.create('/model.onnx');
  return answers(window.session, card, size, await (await fetch(url)).blob());
};
</script>`;
const server = createServer((request, response) => {
  const path = request.url.split('?')[0];
  const content = () => {
    if (path === '/') return page;
    if (path === '/deploy.js') return module;
    if (path === '/model.onnx') return readFileSync(join(scratch, 'model.onnx'));
    if (path.startsWith('/runtime/')) return readFileSync(join(here, 'node_modules/onnxruntime-web/dist', path.slice('/runtime/'.length)));
    if (path.startsWith('/image/')) return readFileSync(images[Number(path.slice('/image/'.length))]);
  };
  const body = content();
  response.statusCode = body === undefined ? 404 : 200;
  response.setHeader('Content-Type', path === '/' ? 'text/html' : types[extname(path)] ?? 'application/octet-stream');
  response.end(body);
}).listen(0, '127.0.0.1');
await new Promise(resolve => server.once('listening', resolve));

const browser = await launch();
const wrong = [];
const tab = await browser.newPage();
tab.on('pageerror', error => wrong.push(`error: ${error.message}`));
await tab.goto(`http://127.0.0.1:${server.address().port}/`);
await tab.waitForFunction(() => window.answer);

const failed = await run({
  'the answers are those of visage predict': async () => {
    assert.ok(images.length > 0, 'no images');
    for (const [number, image] of images.entries()) {
      const [header, row] = visage('predict', model, image, '--format', 'csv').trim().split('\n').map(line => line.split(','));
      const found = await tab.evaluate(([url, card, size]) => window.answer(url, card, size), [`/image/${number}`, card, [height, width]]);
      assert.deepEqual(found.map(each => each.name), header.slice(1));
      const worst = Math.max(...found.map((each, at) => Math.abs(each.probability - Number(row[at + 1]))));
      console.log(`     ${image}: within ${worst.toExponential(1)}`);
      assert.ok(worst < TOLERANCE, `${image}: probabilities differ by ${worst}`);
    }
  },
}, wrong);
await browser.close();
server.close();
rmSync(scratch, { recursive: true });
process.exit(failed ? 1 : 0);
