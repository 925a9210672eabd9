// Makes the two files that Claviger serves: one script, one ES module. They are kept beside the sources of the program,
// so that building it needs no Node.
//
//   node bundle.js           writes them
//   node bundle.js --check   fails if they are not what the sources give

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const FOLDER = join(import.meta.dirname, '..', '..', 'crates', 'claviger', 'sdk');
const { name, version, license } = JSON.parse(
  await readFile(join(import.meta.dirname, 'package.json'), 'utf8'),
);
const OUTPUTS = {
  'passage-flex.js': { input: 'src/served/script.ts', format: 'iife', name: 'PassageFlex' },
  'passage-flex.mjs': { input: 'src/served/module.ts', format: 'es' },
};

const isCheck = process.argv.includes('--check');
const stale = [];
for (const [file, { input, ...output }] of Object.entries(OUTPUTS)) {
  const text = await bundle(join(import.meta.dirname, input), output);
  const path = join(FOLDER, file);
  if ((await readFile(path, 'utf8').catch(() => '')) === text) continue;
  stale.push(file);
  if (isCheck) continue;
  await mkdir(FOLDER, { recursive: true });
  await writeFile(path, text);
}
if (isCheck && stale.length > 0) {
  console.error(`crates/claviger/sdk: not made from these sources: ${stale.join(', ')}.`);
  console.error('Run "npm run bundle --workspace sdks/browser" and commit what it changes.');
  process.exitCode = 1;
}

async function bundle(input, output) {
  const build = await rolldown({ input, cwd: import.meta.dirname, tsconfig: false });
  const { output: chunks } = await build.generate({
    ...output,
    minify: true,
    comments: false,
    postBanner: `/*! ${name} ${version}, ${license}. Made by sdks/browser/bundle.js. */`,
  });
  await build.close();
  return `${chunks[0].code.trimEnd()}\n`;
}
