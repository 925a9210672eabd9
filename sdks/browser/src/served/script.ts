// The plain script, which leaves one global as Passage's did: the class `PassageFlex`. What else the package has is a
// member of it.

import { PassageError } from '../errors.js';
import { servedFrom } from './home.js';

// Known only while the script runs for the first time.
const script = document.currentScript;
const PassageFlex = servedFrom(script instanceof HTMLScriptElement ? script.src : '');

export default Object.assign(PassageFlex, { PassageError });
