// The ES module: `import { PassageFlex } from 'https://passkeys.example.com/sdk/passage-flex.mjs'`.

import { servedFrom } from './home.js';

export const PassageFlex = servedFrom(import.meta.url);
export { PassageError } from '../errors.js';
