import type { Setting } from '../settings.js';
import html from './missing-settings.html?raw';
import { build, part } from './view.js';
import type { View } from './view.js';

export function missingSettingsView(missing: Setting[]): View {
  const root = build(html);
  const list = part(root, '.settings');
  for (const { name, meaning } of missing) {
    const term = document.createElement('dt');
    const code = document.createElement('code');
    const details = document.createElement('dd');
    code.textContent = name;
    term.append(code);
    details.textContent = meaning;
    list.append(term, details);
  }
  return { root };
}
