// Measures the loading time of a page: node opening.js PAGE [TIMES]
//
// Each time in a new context of a headless browser: from the request to the end of the load event, and to the first frame
// painted after it.

import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { launch } from './browser.js';

const [file, times = '10'] = process.argv.slice(2);
const browser = await launch();
const took = [];
for (let time = 0; time < +times; time++) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
  const page = await context.newPage();
  await page.goto(pathToFileURL(resolve(file)).href);
  took.push(await page.evaluate(() => new Promise(done => {
    const { loadEventEnd } = performance.getEntriesByType('navigation')[0];
    requestAnimationFrame(() => setTimeout(() => done([loadEventEnd, performance.now()])));
  })));
  await context.close();
}
await browser.close();
const told = at => {
  const sorted = took.map(each => each[at]).sort((a, b) => a - b);
  return `${Math.round(sorted[Math.floor(sorted.length / 2)])} ms median, ${Math.round(sorted.at(-1))} ms maximum`;
};
console.log(`${(statSync(file).size / 1e6).toFixed(2)} MB, opened ${times} times: loaded in ${told(0)}; painted in ${told(1)}`);
