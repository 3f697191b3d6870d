"""Somebody who reads the pages and uses them: what they see, and what they press."""

from selenium.common import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.support.polling import wait_until


class Reader:
    """A person in front of the browser."""

    def __init__(self, driver: Chrome, origin: str) -> None:
        self.driver = driver
        self._origin = origin

    def open(self, path: str) -> None:
        self.driver.get(f"{self._origin}{path}")

    def sign_in(self, name: str, password: str) -> None:
        self.write("Your name", name)
        self.write("Password or token", password)
        self.press("Sign in")

    def write(self, label: str, text: str) -> None:
        """Put this into a field, in the place of what is there."""
        labelled = self.driver.find_element(By.XPATH, f"//label[normalize-space()='{label}']")
        field = self.driver.find_element(By.ID, labelled.get_attribute("for") or "")
        field.clear()
        field.send_keys(text)

    def press(self, name: str) -> None:
        """Press the first button, open the first part, or follow the first link, of that name."""
        named = f"//*[self::button or self::summary or self::a][normalize-space()='{name}']"
        wait_until(lambda: self._pressed(named), f"a {name!r} to press")

    def waits_for(self, text: str) -> None:
        """Fails the test unless that comes to be on the page."""
        wait_until(lambda: text in self.sees, f"{text!r} to be said")

    @property
    def sees(self) -> str:
        """What the page says, whatever is being put into it meanwhile."""
        found: str = self.driver.execute_script("return document.querySelector('main')?.innerText ?? ''")
        return " ".join(found.split())

    @property
    def path(self) -> str:
        return self.driver.current_url.removeprefix(self._origin)

    def _pressed(self, xpath: str) -> bool:
        try:
            found = self.driver.find_elements(By.XPATH, xpath)
            if found:
                found[0].click()
        except StaleElementReferenceException:
            # The page has just put another in its place.
            return False
        return bool(found)
