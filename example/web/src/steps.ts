// The four steps of the guide at the side of every page, ticked as this browser sees them done.

import { loadProgress } from './memory.js';
import { part } from './views/view.js';

type Step = 'signedUp' | 'signedIn' | 'passkeyAdded' | 'passkeyUsed';

export function showSteps(): void {
  const progress = loadProgress();
  let isNextFound = false;
  for (const item of document.querySelectorAll<HTMLElement>('[data-step]')) {
    const isDone = progress?.[item.dataset['step'] as Step] === true;
    const isNext: boolean = !isDone && !isNextFound;
    isNextFound ||= isNext;
    item.classList.toggle('done', isDone);
    part(item, '[data-state]').textContent = isDone ? ' (done)' : '';
    if (isNext) item.setAttribute('aria-current', 'step');
    else item.removeAttribute('aria-current');
  }
}
