// @ts-check
import { h } from './dom.js';

customElements.define('pay-values', class extends HTMLElement {
  table = h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Values of the formula' }, h('p', { class: 'empty', text: 'Loading' }));

  connectedCallback() {
    this.append(
      h('p', { class: 'formula' }, h('code', { text: 'premium = claims a year × mileage × braking × acceleration × cornering × speeding × night × average claim × (1 + expenses)' })),
      h('p', { class: 'sub', text: 'Each behaviour factor is exp(Z · θ · w · (S₀ − S) / 10): Z grows with the kilometres known, w is the part’s weight, S its score and S₀ an ordinary driver’s. The result stays within the largest discount and surcharge. No open data joins driving with claims, so what is marked illustrative is invented and has to be replaced by an insurer’s own figures.' }));
    this.append(this.table);
    this.closest('details')?.addEventListener('toggle', () => this.load(), { once: true });
  }

  async load() {
    try {
      const response = await fetch('api/values');
      if (!response.ok) throw new Error(response.statusText);
      this.draw(await response.json());
    } catch (error) {
      this.table.replaceChildren(h('p', { class: 'empty', text: `The values cannot be read (${error}). Close and open to try again.` }));
      this.closest('details')?.addEventListener('toggle', () => this.load(), { once: true });
    }
  }

  /** @param {{name:string,value:number,unit:string,basis:string,source:string}[]} values */
  draw(values) {
    const rows = values.map((v) => h('tr', {},
      h('th', { scope: 'row', text: v.name }), h('td', { class: 'num', text: `${v.value.toLocaleString('en', { maximumFractionDigits: 6 })} ${v.unit}` }),
      h('td', {}, h('span', { class: 'basis', 'data-basis': v.basis, text: v.basis })), h('td', { class: 'sub', text: v.source })));
    this.table.replaceChildren(h('table', {},
      h('thead', {}, h('tr', {}, ...['What', 'Value', 'Basis', 'Where it comes from'].map((t) => h('th', { scope: 'col', text: t })))),
      h('tbody', {}, ...rows)));
  }
});
