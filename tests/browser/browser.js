// What the tests of pages share: the browser, and the end of a run.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

// Headless, and silent towards everybody but the page.
export const launch = (...more) => chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', ...more],
});

// Runs the tests one after the other and says how each went; whatever is in `wrong` after one fails it. Returns how many failed.
export async function run(tests, wrong) {
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
  return failed;
}
