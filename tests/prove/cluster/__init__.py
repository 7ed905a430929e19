"""Three machines of one venue, under load and under fire: nobody was told what is not so."""
