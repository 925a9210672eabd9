// The package as a Claviger server hands it out: the script and the API have one address, so a page needs its app id only.

import { readObject } from '../errors.js';
import { PassageFlex as Packaged, type PassageFlexOptions } from '../passage-flex.js';

/**
 * `PassageFlex` with the API beside a script as its default: `/sdk/passage-flex.js` has `/v1`, under whatever path a
 * proxy puts both.
 *
 * @param script Where the script came from; if it cannot tell, the default is the package's own.
 */
export function servedFrom(script: string): typeof Packaged {
  const home = apiBeside(script);
  return class PassageFlex extends Packaged {
    constructor(appId: string, options: PassageFlexOptions = {}) {
      super(appId, { ...readObject('options', options), baseUrl: options.baseUrl ?? home });
    }
  };
}

function apiBeside(script: string): string | undefined {
  try {
    return new URL('../v1', script).href;
  } catch {
    return undefined;
  }
}
