/** Sets theme and sidebar on <html> before the first paint, so that neither flashes nor jumps. */

/** Where the browser's storage keeps the theme and the sidebar's state. */
export const THEME_KEY = 'hf-theme';
export const SIDEBAR_KEY = 'hf-sidebar';

/** Runs as text, so it names nothing of this file. Storage throws where cookies are blocked, and then the defaults stand. */
export const PREFERENCES_SCRIPT = `(function(){var d=document.documentElement,t,s;
try{t=localStorage.getItem('${THEME_KEY}');s=localStorage.getItem('${SIDEBAR_KEY}')}catch(e){}
if(t==='dark'||(t!=='light'&&matchMedia('(prefers-color-scheme: dark)').matches))d.classList.add('dark');
if(s==='closed')d.dataset.sidebar='closed'})()`;
