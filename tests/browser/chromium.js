// The browser of the tests: a real Chromium, found on this machine.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

/**
 * Starts Chromium. CHROMIUM names the program when it is not on the PATH.
 *
 * @param args Further arguments of its command line.
 */
export function launchChromium(args = []) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || onPath(['chromium', 'chromium-browser', 'google-chrome']),
    // Chromium refuses to sandbox itself for root.
    chromiumSandbox: process.getuid() !== 0,
    args,
  });
}

function onPath(names) {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const file = join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // Not here.
      }
    }
  }
  throw new Error('no Chromium on the PATH; install it, or set CHROMIUM to its program');
}
