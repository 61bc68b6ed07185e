"""DELT Studio: the app's entry. It sets the page up and hands over to the page the reader asked for."""

import streamlit as st

from pages.shared import errors, nav, server, sign_in, streamlit_internals
from pages.shared.runs import job_strip

if streamlit_internals.is_script_run():
    st.set_page_config(page_title="DELT Studio", page_icon=nav.ICON, layout="wide", initial_sidebar_state=240)
    st.logo(nav.LOGO, icon_image=nav.ICON, size="large")
    st.html(f"<style>{nav.STYLE}</style>")
    page = nav.navigation()
    sign_in.enter()
    job_strip.draw()
    with errors.shown():
        page.run()
else:  # read by `streamlit run` before the first visitor comes
    streamlit_internals.claim_pages_folder()
    app = st.App(__file__, **server.doors())
