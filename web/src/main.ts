// Entry: applies the chosen appearance, mounts the page, registers the offline shell.
import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { appearance } from './lib/appearance.svelte';

appearance.apply();
mount(App, { target: document.getElementById('app')! });

if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  // Without a trusted certificate browsers refuse the worker; the page works the same without it.
  addEventListener('load', () => void navigator.serviceWorker.register('/sw.js').catch(() => {}));
}
