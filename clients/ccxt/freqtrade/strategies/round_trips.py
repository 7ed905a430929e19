"""Buys at each new candle and sells again at once: shows orders, not how to make money."""

from freqtrade.strategy import IStrategy


class RoundTrips(IStrategy):
    timeframe = "1m"
    stoploss = -0.5
    minimal_roi = {"0": 100}
    startup_candle_count = 0

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe["enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe

    def custom_exit(self, pair, trade, current_time, current_rate, current_profit, **kwargs):
        return "round trip"
