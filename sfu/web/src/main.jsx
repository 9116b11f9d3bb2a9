import { render } from 'preact';
import { App } from './ui/app.jsx';
import './ui/style.css';

render(<App />, document.getElementById('app'));
