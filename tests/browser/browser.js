// Shared by the tests of pages: the browser, and running tests.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

// Headless, without network requests of its own.
export const launch = (...more) => chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', ...more],
});

// Runs the tests in order and prints each result. A test fails too if it leaves errors in `wrong`. Returns the number of failures.
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
